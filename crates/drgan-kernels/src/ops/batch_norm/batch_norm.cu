// The statistics of batch normalization. What is done with them is in channels.cu and channel_sums.cu.
#include "channels.cuh"

// What values are measured from before they are summed: the channel's first, or the variance of values far from 0 would be lost.
static __device__ double origin(const float *map) { return isnan(*map) || isinf(*map) ? 0 : *map; }

// Mean, population variance and 1 / deviation of channel c, whose values have these sums.
static __device__ void finish(double sum, double squares, const float *map, double n, double eps, float *statistics, size_t c, size_t channels) {
    const double mean = sum / n, rest = squares / n - mean * mean;
    const float var = rest < 0 ? 0 : rest;
    statistics[c] = origin(map) + mean;
    statistics[channels + c] = var;
    statistics[2 * channels + c] = 1 / sqrt(double(var) + eps);
}

// The statistics (3, C) of x, or parts of the two sums that they are made of. A block per channel and part.
extern "C" __global__ void batch_norm_statistics(const float *x, double *parts, float *statistics, double eps, size_t images, size_t channels,
                                                 size_t plane) {
    const size_t c = blockIdx.x;
    const float *map = x + c * plane;
    const double from = origin(map);
    double sum = 0, squares = 0;
    each_of_part(images, plane, [&](size_t image, size_t pixel) {
        const double value = map[image * channels * plane + pixel] - from;
        sum += value;
        squares += value * value;
    });
    sum = block_sum(sum);
    squares = block_sum(squares);
    if (threadIdx.x) return;
    if (gridDim.y == 1) {
        finish(sum, squares, map, double(images * plane), eps, statistics, c, channels);
    } else {
        parts[c * gridDim.y + blockIdx.y] = sum;
        parts[(channels + c) * gridDim.y + blockIdx.y] = squares;
    }
}

// The statistics from the parts of the sums. A thread per channel.
extern "C" __global__ void batch_norm_statistics_of_parts(const float *x, const double *parts, float *statistics, double eps, size_t images,
                                                          size_t channels, size_t plane, int parts_each) {
    const size_t c = thread_number();
    if (c >= channels) return;
    const double sum = sum_of_parts(parts, c, parts_each), squares = sum_of_parts(parts, channels + c, parts_each);
    finish(sum, squares, x + c * plane, double(images * plane), eps, statistics, c, channels);
}

// Running statistics as far towards a batch's as `take` says; `unbiased` times its variance. A thread per channel.
extern "C" __global__ void batch_norm_running(const float *mean, const float *var, float *running_mean, float *running_var, float keep,
                                              float take, float unbiased, size_t channels) {
    const size_t c = thread_number();
    if (c >= channels) return;
    running_mean[c] = keep * running_mean[c] + take * mean[c];
    running_var[c] = keep * running_var[c] + take * (unbiased * var[c]);
}
