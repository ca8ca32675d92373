// Nearest-neighbour upsampling by two.
#include "common.cuh"

// y of (rows, w) to (2 rows, 2 w), rows of all maps together. A thread per value of y.
extern "C" __global__ void upsample_nearest2x(const float *x, float *y, size_t rows, size_t w) {
    const size_t i = thread_number(), row = i / (2 * w);
    if (row >= 2 * rows) return;
    y[i] = x[row / 2 * w + i % (2 * w) / 2];
}

// dx: the sum of the four that were made of a value. A thread per value of x.
extern "C" __global__ void upsample_nearest2x_backward(const float *dy, float *dx, size_t rows, size_t w) {
    const size_t i = thread_number(), row = i / w;
    if (row >= rows) return;
    const float *first = dy + row * 4 * w + i % w * 2, *second = first + 2 * w;
    dx[i] = first[0] + first[1] + second[0] + second[1];
}
