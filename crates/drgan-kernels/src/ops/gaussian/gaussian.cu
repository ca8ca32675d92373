// Gaussians with a diagonal covariance. A thread per value, but for the divergence.
#include "common.cuh"

// n values y: the first or the second half of each row of x, which has twice as many columns.
extern "C" __global__ void gaussian_half(const float *x, float *y, size_t n, size_t columns, int second) {
    const size_t i = thread_number();
    if (i < n) y[i] = x[i + (i / columns + second) * columns];
}

// n values dx, 0 in the other half.
extern "C" __global__ void gaussian_half_backward(const float *dy, float *dx, size_t n, size_t columns, int second) {
    const size_t i = thread_number();
    if (i >= n) return;
    const size_t half = i / columns;
    dx[i] = half % 2 == size_t(second) ? dy[i - (half + 1) / 2 * columns] : 0;
}

extern "C" __global__ void gaussian_sample(const float *mu, const float *logvar, const float *eps, float *y, size_t n) {
    const size_t i = thread_number();
    if (i < n) y[i] = mu[i] + eps[i] * expf(logvar[i] * 0.5f);
}

// A gradient that is not wanted is null; the mean's is the output's.
extern "C" __global__ void gaussian_sample_backward(const float *logvar, const float *eps, const float *dy, float *d_logvar, float *d_eps, size_t n) {
    const size_t i = thread_number();
    if (i >= n) return;
    const float deviation = expf(logvar[i] * 0.5f);
    if (d_logvar) d_logvar[i] = dy[i] * eps[i] * deviation * 0.5f;
    if (d_eps) d_eps[i] = dy[i] * deviation;
}

// By one block: latents are short.
extern "C" __global__ void gaussian_kl(const float *mu, const float *logvar, float *kl, size_t n) {
    double sum = 0;
    for (size_t i = threadIdx.x; i < n; i += THREADS) sum += 1 + double(logvar[i]) - double(mu[i]) * mu[i] - exp(double(logvar[i]));
    sum = block_sum(sum);
    if (threadIdx.x == 0) *kl = -0.5 * sum / n;
}

extern "C" __global__ void gaussian_kl_backward(const float *mu, const float *logvar, const float *dy, float *d_mu, float *d_logvar, size_t n) {
    const size_t i = thread_number();
    if (i >= n) return;
    const float each = *dy / n;
    if (d_mu) d_mu[i] = each * mu[i];
    if (d_logvar) d_logvar[i] = each * 0.5f * (expf(logvar[i]) - 1);
}
