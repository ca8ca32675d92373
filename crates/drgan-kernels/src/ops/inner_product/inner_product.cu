// The inner product of n values, and its gradient.
#include "common.cuh"
#include "sums.cuh"

extern "C" __global__ void inner_product(const float *x, const float *y, double *parts, float *product, size_t n, double factor) {
    double sum = 0;
    for (size_t i = thread_number(); i < n; i += size_t(gridDim.x) * THREADS) sum += double(x[i]) * y[i];
    write_sum(block_sum(sum), parts, product, factor);
}

// A thread per value. A gradient that is not wanted is null.
extern "C" __global__ void inner_product_backward(const float *x, const float *y, const float *gradient, float *dx, float *dy, size_t n) {
    const size_t i = thread_number();
    if (i >= n) return;
    if (dx) dx[i] = *gradient * y[i];
    if (dy) dy[i] = *gradient * x[i];
}
