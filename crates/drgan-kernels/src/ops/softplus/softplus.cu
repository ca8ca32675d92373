// The sum of the means of softplus(x), or of softplus(-x), over up to three tensors: a null pointer stands for one that there is
// not.
#include "common.cuh"
#include "softplus.cuh"

static __device__ double sum_of_softplus(const float *x, size_t n, int negated) {
    double sum = 0;
    for (size_t i = threadIdx.x; i < n; i += THREADS) sum += softplus(negated ? -x[i] : x[i]);
    return sum;
}

// By one block.
extern "C" __global__ void softplus_means(const float *x, const float *y, const float *z, size_t of_x, size_t of_y, size_t of_z, int negated, double divisor, float *sum) {
    double mean = sum_of_softplus(x, of_x, negated) / of_x;
    if (y) mean += sum_of_softplus(y, of_y, negated) / of_y;
    if (z) mean += sum_of_softplus(z, of_z, negated) / of_z;
    mean = block_sum(mean);
    if (threadIdx.x == 0) *sum = mean / divisor;
}

static __device__ void gradient_of_mean(const float *x, size_t n, int negated, double dy, float *dx) {
    const size_t i = thread_number();
    if (!dx || i >= n) return;
    dx[i] = negated ? -sigmoid_of(-x[i]) * dy / n : sigmoid_of(x[i]) * dy / n;
}

// A thread per value of the longest tensor. Gradients that are not wanted are null.
extern "C" __global__ void softplus_means_backward(const float *x, const float *y, const float *z, size_t of_x, size_t of_y, size_t of_z, int negated, double divisor,
                                                   const float *dy, float *dx, float *d_y, float *dz) {
    gradient_of_mean(x, of_x, negated, *dy / divisor, dx);
    gradient_of_mean(y, of_y, negated, *dy / divisor, d_y);
    gradient_of_mean(z, of_z, negated, *dy / divisor, dz);
}
