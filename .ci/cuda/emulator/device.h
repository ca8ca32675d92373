// What a .cu file sees in place of nvcc's built-in names.
#pragma once
#include "fibers.h"
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __noinline__
#define __restrict__
#define __launch_bounds__(...)
#define __shared__ __attribute__((section("emu_shared"))) static

#define blockIdx emu::block_index
#define blockDim emu::block_size
#define gridDim emu::grid_size
#define threadIdx emu::thread_index
#define warpSize 32

inline void __syncthreads() { emu::wait_for(emu::Wait::block); }
inline void __syncwarp(unsigned = ~0u) { emu::wait_for(emu::Wait::warp); }

// The value of another thread of the warp; all threads of the warp have to take part.
template <class T> T emu_exchange(T value, unsigned lane) {
    static_assert(sizeof(T) <= 8);
    memcpy(&emu::lanes[emu::thread_number], &value, sizeof value);
    emu::wait_for(emu::Wait::warp);
    T of_other;
    memcpy(&of_other, &emu::lanes[(emu::thread_number & ~31u) + (lane & 31u)], sizeof of_other);
    emu::wait_for(emu::Wait::warp);
    return of_other;
}
inline unsigned emu_lane() { return emu::thread_number & 31; }
template <class T> T __shfl_sync(unsigned, T v, int lane, int = 32) { return emu_exchange(v, lane); }
template <class T> T __shfl_xor_sync(unsigned, T v, int mask, int = 32) { return emu_exchange(v, emu_lane() ^ mask); }
template <class T> T __shfl_down_sync(unsigned, T v, unsigned by, int = 32) {
    return emu_exchange(v, emu_lane() + by < 32 ? emu_lane() + by : emu_lane());
}
template <class T> T __shfl_up_sync(unsigned, T v, unsigned by, int = 32) {
    return emu_exchange(v, emu_lane() >= by ? emu_lane() - by : emu_lane());
}
template <class T> T atomicAdd(T *at, T value) {
    if (!std::is_integral_v<T>) emu::counters.float_atomics++;
    T old = *at;
    *at = old + value;
    return old;
}
inline unsigned atomicOr(unsigned *at, unsigned value) {
    unsigned old = *at;
    *at = old | value;
    return old;
}

// --- math that g++'s library names differently
using std::isfinite;
using std::isinf;
using std::isnan;
template <class A, class B> auto max(A a, B b) { using T = std::common_type_t<A, B>; return T(a) < T(b) ? T(b) : T(a); }
template <class A, class B> auto min(A a, B b) { using T = std::common_type_t<A, B>; return T(b) < T(a) ? T(b) : T(a); }
inline float normcdff(float x) { return .5f * erfcf(-x * 0.70710678f); }
inline double normcdf(double x) { return .5 * erfc(-x * 0.70710678118654752); }
inline float rsqrtf(float x) { return 1.f / sqrtf(x); }
inline double rsqrt(double x) { return 1. / std::sqrt(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float emu_expf(float x) { return expf(x); } // glibc has an __expf of its own
#define __expf emu_expf
inline int __float_as_int(float x) { int y; memcpy(&y, &x, 4); return y; }
inline float __int_as_float(int x) { float y; memcpy(&y, &x, 4); return y; }
template <class T> T __ldg(const T *at) { return *at; }
#define CUDART_INF_F INFINITY
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

// --- a kernel called with an array of pointers to its arguments, as cuLaunchKernel has them
template <class... A, size_t... I> void emu_spread(void (*kernel)(A...), void **p, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_cv_t<A> *>(p[I])...);
}
template <class... A> void emu_call(void (*kernel)(A...), void **p) { emu_spread(kernel, p, std::index_sequence_for<A...>{}); }
