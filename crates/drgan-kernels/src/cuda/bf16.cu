// f32 to bf16, given by its 16 bits, and back.
#include "common.cuh"

// To nearest even; NaN stays NaN.
extern "C" __global__ void bf16_of_f32(const float *x, unsigned short *y, size_t n) {
    size_t i = thread_number();
    if (i >= n) return;
    unsigned bits = __float_as_int(x[i]);
    y[i] = x[i] != x[i] ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

extern "C" __global__ void f32_of_bf16(const unsigned short *x, float *y, size_t n) {
    size_t i = thread_number();
    if (i < n) y[i] = __int_as_float(int(unsigned(x[i]) << 16));
}
