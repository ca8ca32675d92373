// A sum over all values of some tensors, to which each block contributes a part.
#pragma once

// Writes a block's sum, `factor` times, where the block has all values; else as its part, which sums.cu adds.
static __device__ inline void write_sum(double of_block, double *parts, float *to, double factor) {
    if (threadIdx.x) return;
    if (gridDim.x == 1) *to = of_block * factor;
    else parts[blockIdx.x] = of_block;
}
