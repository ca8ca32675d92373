// Maps of channels, (images, channels, plane), and what each channel is scaled by.
#pragma once
#include "activation.cuh"
#include "common.cuh"

// z = scale x + shift.
struct Affine {
    float scale, shift;
    __device__ float operator()(float x) const { return scale * x + shift; }
};

// A scale and a shift per channel, or none: z = x then. With statistics, which are the mean, the variance and 1 / deviation of
// each channel, x is normalized by these first.
struct Scales {
    const float *scale, *shift, *statistics;
    size_t channels;

    __device__ float mean(size_t c) const { return statistics ? statistics[c] : 0; }
    __device__ float inverse(size_t c) const { return statistics ? statistics[2 * channels + c] : 1; }
    __device__ Affine of(size_t c) const {
        if (!scale) return {1, shift ? shift[c] : 0};
        if (!statistics) return {scale[c], shift[c]};
        const float by = scale[c] * inverse(c);
        return {by, shift[c] - mean(c) * by};
    }
};

// f(image, pixel) for the values of a channel that this thread takes, of those of this block: the part blockIdx.y of gridDim.y.
template <class F> static __device__ void each_of_part(size_t images, size_t plane, F f) {
    const size_t n = images * plane, end = n * (blockIdx.y + 1) / gridDim.y;
    size_t i = n * blockIdx.y / gridDim.y + threadIdx.x;
    if (i >= end) return;
    size_t image = i / plane, pixel = i % plane;
    const size_t images_on = THREADS / plane, pixels_on = THREADS % plane;
    for (; i < end; i += THREADS) {
        f(image, pixel);
        image += images_on;
        pixel += pixels_on;
        if (pixel >= plane) pixel -= plane, image++;
    }
}

// Leaves a sum of a channel's values: as it is where one block has seen all of them, else as a part of sum number i.
static __device__ inline void leave(double sum, float *to, double *parts, size_t i) {
    if (threadIdx.x) return;
    if (gridDim.y == 1) *to = sum;
    else parts[i * gridDim.y + blockIdx.y] = sum;
}

// The sum of the parts that leave() has left.
static __device__ inline double sum_of_parts(const double *parts, size_t i, int n) {
    double sum = 0;
    for (int part = 0; part < n; part++) sum += parts[i * n + part];
    return sum;
}
