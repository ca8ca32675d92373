// The contrast of three maps' statistics, each [mean of every channel, variance of every channel], by one block.
#include "common.cuh"
#include "softplus.cuh"

static __device__ double deviation(float variance) { return sqrt(double(variance) + 1e-8); }

// What is compared: the mean of a channel, or its deviation.
static __device__ double value(const float *moments, int c, int channels, bool deviations) {
    return deviations ? deviation(moments[channels + c]) : double(moments[c]);
}

static __device__ double distance(const float *a, const float *b, int channels, bool deviations) {
    double sum = 0;
    for (int c = threadIdx.x; c < channels; c += THREADS) {
        const double d = value(a, c, channels, deviations) - value(b, c, channels, deviations);
        sum += d * d;
    }
    return sqrt(block_sum(sum) + 1e-12);
}

extern "C" __global__ void contrast(const float *near, const float *far, const float *to, float *y, int channels) {
    double sum = 0;
    for (int deviations = 0; deviations < 2; deviations++)
        sum += softplus(distance(near, to, channels, deviations) - distance(far, to, channels, deviations));
    if (threadIdx.x == 0) *y = sum;
}

// A gradient that is not wanted is null.
extern "C" __global__ void contrast_backward(const float *near, const float *far, const float *to, const float *dy, float *d_near, float *d_far, float *d_to, int channels) {
    for (int deviations = 0; deviations < 2; deviations++) {
        const double of_near = distance(near, to, channels, deviations), of_far = distance(far, to, channels, deviations);
        const double slope = *dy * sigmoid_of(of_near - of_far);
        for (int c = threadIdx.x; c < channels; c += THREADS) {
            const double there = value(to, c, channels, deviations);
            const double near_by = slope * (value(near, c, channels, deviations) - there) / of_near;
            const double far_by = -slope * (value(far, c, channels, deviations) - there) / of_far;
            const int at = deviations * channels + c;
            // The derivative of the square root, where it is the variance that has the gradient.
            const auto through = [&](const float *moments) { return deviations ? 0.5 / deviation(moments[at]) : 1; };
            if (d_near) d_near[at] = near_by * through(near);
            if (d_far) d_far[at] = far_by * through(far);
            if (d_to) d_to[at] = -(near_by + far_by) * through(to);
        }
    }
}
