// The softmax along an axis, or its logarithm. A thread per row: the values of one sum, which are `apart` from each other.
#include "common.cuh"

// Where a row begins.
static __device__ size_t first_of(size_t row, size_t values, size_t apart) { return row / apart * values * apart + row % apart; }

extern "C" __global__ void softmax(const float *x, float *y, size_t rows, size_t values, size_t apart, int logarithm) {
    const size_t row = thread_number();
    if (row >= rows) return;
    const size_t at = first_of(row, values, apart);
    float largest = x[at];
    for (size_t i = 1; i < values; i++)
        if (x[at + i * apart] > largest) largest = x[at + i * apart];
    double sum = 0; // NaN if a value is
    for (size_t i = 0; i < values; i++) sum += expf(x[at + i * apart] - largest);
    const double of_all = log(sum);
    for (size_t i = 0; i < values; i++) {
        const float z = x[at + i * apart] - largest;
        y[at + i * apart] = logarithm ? z - of_all : expf(z) / sum;
    }
}

// dx = y (dy - sum dy y), or dx = dy - e^y sum dy.
extern "C" __global__ void softmax_backward(const float *y, const float *dy, float *dx, size_t rows, size_t values, size_t apart, int logarithm) {
    const size_t row = thread_number();
    if (row >= rows) return;
    const size_t at = first_of(row, values, apart);
    double sum = 0;
    for (size_t i = 0; i < values; i++) sum += double(dy[at + i * apart]) * (logarithm ? 1 : y[at + i * apart]);
    for (size_t i = 0; i < values; i++) {
        const size_t j = at + i * apart;
        dx[j] = logarithm ? dy[j] - expf(y[j]) * sum : y[j] * (dy[j] - sum);
    }
}
