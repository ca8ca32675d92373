// The hyperbolic tangent. A thread per value.
#include "common.cuh"

extern "C" __global__ void tanh_forward(const float *x, float *y, size_t n) {
    const size_t i = thread_number();
    if (i < n) y[i] = tanhf(x[i]);
}

extern "C" __global__ void tanh_backward(const float *y, const float *dy, float *dx, size_t n) {
    const size_t i = thread_number();
    if (i < n) dx[i] = dy[i] * (1 - y[i] * y[i]);
}
