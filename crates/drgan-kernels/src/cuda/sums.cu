// The sum of the blocks' parts, by one block.
#include "common.cuh"

extern "C" __global__ void sums_finish(const double *parts, float *to, size_t number, double factor) {
    double sum = 0;
    for (size_t i = threadIdx.x; i < number; i += THREADS) sum += parts[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *to = sum * factor;
}
