// The mean absolute difference of n values, and its gradient.
#include "common.cuh"
#include "sums.cuh"

extern "C" __global__ void absolute_difference(const float *a, const float *b, double *parts, float *mean, size_t n, double factor) {
    double sum = 0;
    for (size_t i = thread_number(); i < n; i += size_t(gridDim.x) * THREADS) sum += fabsf(a[i] - b[i]);
    write_sum(block_sum(sum), parts, mean, factor);
}

// A thread per value. A gradient that is not wanted is null.
extern "C" __global__ void absolute_difference_backward(const float *a, const float *b, const float *dy, float *da, float *db, size_t n) {
    const size_t i = thread_number();
    if (i >= n) return;
    const float d = a[i] - b[i], each = *dy / n;
    const float of_a = d > 0 ? each : d < 0 ? -each : d * each; // 0 at 0, and NaN stays
    if (da) da[i] = of_a;
    if (db) db[i] = -of_a;
}
