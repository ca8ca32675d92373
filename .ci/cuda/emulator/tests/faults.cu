// Kernels that are wrong, each in one way, and their right counterparts: what the emulated device has to notice.

// out[i] = i; writes one element too many if asked for it.
extern "C" __global__ void test_count(unsigned *out, size_t n) {
    size_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = i;
}

// The block's values in reverse; without the barrier it depends on which thread comes first.
template <bool BARRIER> __device__ void reverse(float *x) {
    __shared__ float all[64];
    all[threadIdx.x] = x[threadIdx.x];
    if (BARRIER) __syncthreads();
    x[threadIdx.x] = all[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void test_reverse(float *x) { reverse<true>(x); }
extern "C" __global__ void test_reverse_without_barrier(float *x) { reverse<false>(x); }

extern "C" __global__ void test_divergent_barrier(float *x) {
    if (threadIdx.x < 16) __syncthreads();
    x[threadIdx.x] = 1;
}

extern "C" __global__ void test_half_a_warp(float *x) {
    if (threadIdx.x >= 16) return;
    x[threadIdx.x] = __shfl_xor_sync(0xffffffff, x[threadIdx.x], 1);
}

// The warp's sum in every thread.
extern "C" __global__ void test_sum(float *x) {
    float sum = x[threadIdx.x];
    for (int by = 16; by; by /= 2) sum += __shfl_xor_sync(0xffffffff, sum, by);
    x[threadIdx.x] = sum;
}

extern "C" __global__ void test_four_at_once(float *x, size_t from) {
    float4 *four = reinterpret_cast<float4 *>(x + from);
    four[0] = make_float4(1, 2, 3, 4);
}

// Blocks write the same element: whose value stays is nobody's promise.
extern "C" __global__ void test_last_block(unsigned *out) {
    if (threadIdx.x == 0) out[0] = blockIdx.x;
}

extern "C" __global__ void test_float_atomic(float *x) { atomicAdd(x, 1.f); }
