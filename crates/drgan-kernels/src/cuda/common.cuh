// What kernels share.
#pragma once

// Threads of a block in all kernels (launch.rs has the same number).
#define THREADS 256

// The number of this thread among all of the grid's first axis.
static __device__ inline size_t thread_number() { return size_t(blockIdx.x) * THREADS + threadIdx.x; }

// The sum of the values of a block's threads, in each of them: always in the same order, so that results are the same.
static __device__ double block_sum(double value) {
    __shared__ double of_warp[THREADS / 32];
    for (int by = 16; by; by /= 2) value += __shfl_xor_sync(0xffffffffu, value, by);
    __syncthreads(); // sums of a call before this one have been read
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    double sum = 0;
    for (int i = 0; i < THREADS / 32; i++) sum += of_warp[i];
    return sum;
}
