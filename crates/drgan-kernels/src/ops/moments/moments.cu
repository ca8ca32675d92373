// Mean and population variance of each channel of a map (B, C, plane), and their gradient.
#include "common.cuh"

struct Sums {
    double values, squares;
};

// What is subtracted from each value before it is squared, so that a mean far from 0 costs no digits: one of the channel's values.
static __device__ float shift_of(const float *x, size_t plane, int c) {
    const float first = x[c * plane];
    return first - first == 0 ? first : 0; // not NaN or infinity, which would be lost in a difference
}

static __device__ void write_moments(Sums sums, float shift, double n, float *mean, float *variance) {
    const double of_rest = sums.values / n;
    *mean = shift + of_rest;
    const double spread = sums.squares / n - of_rest * of_rest;
    *variance = spread < 0 ? 0 : spread; // NaN stays
}

// Sums of some of a channel's values: channel blockIdx.y, part blockIdx.x of gridDim.x. The moments where one block has them all.
extern "C" __global__ void moments(const float *x, double *parts, float *moments, int b, int channels, size_t plane) {
    const size_t n = b * plane, step = size_t(gridDim.x) * THREADS, map = channels * plane;
    for (int c = blockIdx.y; c < channels; c += gridDim.y) {
        const float shift = shift_of(x, plane, c);
        Sums sums{0, 0};
        // Value i of the channel is pixel i % plane of image i / plane; from one to the next without a division.
        size_t i = thread_number(), pixel = i % plane, at = i / plane * map + c * plane + pixel;
        const size_t images = step / plane * map, pixels = step % plane;
        for (; i < n; i += step) {
            const double value = double(x[at]) - shift;
            sums.values += value;
            sums.squares += value * value;
            at += images + pixels;
            if ((pixel += pixels) >= plane) pixel -= plane, at += map - plane;
        }
        sums = {block_sum(sums.values), block_sum(sums.squares)};
        if (threadIdx.x) continue;
        if (gridDim.x == 1) write_moments(sums, shift, n, &moments[c], &moments[channels + c]);
        else reinterpret_cast<Sums *>(parts)[size_t(c) * gridDim.x + blockIdx.x] = sums;
    }
}

// The moments from the parts of each channel. A block per channel.
extern "C" __global__ void moments_finish(const float *x, const double *parts, float *moments, int number, int b, int channels, size_t plane) {
    const int c = blockIdx.x;
    Sums sums{0, 0};
    for (int i = threadIdx.x; i < number; i += THREADS) {
        const Sums part = reinterpret_cast<const Sums *>(parts)[size_t(c) * number + i];
        sums.values += part.values;
        sums.squares += part.squares;
    }
    sums = {block_sum(sums.values), block_sum(sums.squares)};
    if (threadIdx.x == 0) write_moments(sums, shift_of(x, plane, c), double(b) * plane, &moments[c], &moments[channels + c]);
}

// dx = (dmean + 2 (x - mean) dvariance) / n. blockIdx.y goes over the rows, which are the images' channels, blockIdx.x over a plane.
extern "C" __global__ void moments_backward(const float *x, const float *moments, const float *gradient, float *dx, int b, int channels, size_t plane) {
    const size_t rows = size_t(b) * channels;
    const float n = b * plane;
    for (size_t row = blockIdx.y; row < rows; row += gridDim.y) {
        const int c = row % channels;
        const float mean = moments[c], of_mean = gradient[c] / n, of_variance = 2 * gradient[channels + c] / n;
        for (size_t i = thread_number(); i < plane; i += size_t(gridDim.x) * THREADS)
            dx[row * plane + i] = of_mean + (x[row * plane + i] - mean) * of_variance;
    }
}
