// Softplus. A thread per value.
#include "common.cuh"

extern "C" __global__ void softplus(const float *x, float *y, size_t n) {
    const size_t i = thread_number();
    if (i >= n) return;
    const float z = x[i];
    y[i] = (z < 0 ? 0 : z) + log1pf(expf(z < 0 ? z : -z));
}

extern "C" __global__ void softplus_backward(const float *x, const float *dy, float *dx, size_t n) {
    const size_t i = thread_number();
    if (i < n) dx[i] = dy[i] / (1 + expf(-x[i]));
}
