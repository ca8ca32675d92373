// The gate, y = x sigmoid(scale logits). A thread per value.
#include "common.cuh"

extern "C" __global__ void gate(const float *x, const float *logits, float *y, size_t n, float scale) {
    const size_t i = thread_number();
    if (i >= n) return;
    y[i] = x[i] / (1.f + expf(-scale * logits[i]));
}

// Gradients of x and of the logits, where they are wanted: a null pointer says that one is not.
extern "C" __global__ void gate_backward(const float *x, const float *logits, const float *dy, float *dx, float *d_logits, size_t n, float scale) {
    const size_t i = thread_number();
    if (i >= n) return;
    // The derivative of the sigmoid is what it lets through times what it holds back.
    const float z = scale * logits[i], through = 1.f / (1.f + expf(-z)), back = 1.f / (1.f + expf(z));
    if (dx) dx[i] = dy[i] * through;
    if (d_logits) d_logits[i] = dy[i] * x[i] * through * back * scale;
}
