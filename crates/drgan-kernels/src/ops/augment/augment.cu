// Differentiable augmentation of images (B, C, plane). A row of the table is: factors of a value, of its pixel's mean over the channels and of
// the image's mean; brightness; rows and columns to move by; first and last rows and columns that are covered.
#include "common.cuh"

#define COLUMNS 10

// Where pixel (r, q) of the result comes from; -1 where it is 0.
static __device__ long source(const float *row, int r, int q, int h, int w) {
    if (r >= row[6] && r < row[7] && q >= row[8] && q < row[9]) return -1;
    const int from = r - int(row[4]), column = q - int(row[5]);
    return from < 0 || from >= h || column < 0 || column >= w ? -1 : long(from) * w + column;
}

// The sum of an image's values. A block per image.
extern "C" __global__ void augment_sums(const float *x, float *sums, size_t image) {
    const float *values = x + blockIdx.x * image;
    double sum = 0;
    for (size_t i = threadIdx.x; i < image; i += THREADS) sum += values[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum / image;
}

// The sum, over an image's size, of the gradients of what comes from the image. A block per image.
extern "C" __global__ void augment_kept(const float *dy, const float *table, float *sums, int channels, int h, int w) {
    const float *row = table + blockIdx.x * COLUMNS;
    const size_t plane = size_t(h) * w, image = channels * plane;
    const float *values = dy + blockIdx.x * image;
    double sum = 0;
    for (size_t i = threadIdx.x; i < plane; i += THREADS)
        if (source(row, i / w, i % w, h, w) >= 0)
            for (int c = 0; c < channels; c++) sum += values[c * plane + i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum / image;
}

// The result. A thread per pixel of an image.
extern "C" __global__ void augment(const float *x, const float *table, const float *means, float *y, int b, int channels, int h, int w) {
    const size_t i = thread_number(), plane = size_t(h) * w;
    if (i >= b * plane) return;
    const int image = i / plane;
    const size_t pixel = i % plane;
    const float *row = table + image * COLUMNS, *from = x + image * channels * plane;
    float *to = y + image * channels * plane + pixel;
    const long at = source(row, pixel / w, pixel % w, h, w);
    float gray = 0;
    for (int c = 0; c < channels && at >= 0; c++) gray += from[c * plane + at];
    gray = gray * (row[1] / channels) + row[2] * means[image] + row[3];
    for (int c = 0; c < channels; c++) to[c * plane] = at < 0 ? 0 : row[0] * from[c * plane + at] + gray;
}

// The gradient. A thread per pixel of an image, which looks for the pixel of the result that came from it.
extern "C" __global__ void augment_backward(const float *dy, const float *table, const float *kept, float *dx, int b, int channels, int h, int w) {
    const size_t i = thread_number(), plane = size_t(h) * w;
    if (i >= b * plane) return;
    const int image = i / plane;
    const size_t pixel = i % plane;
    const float *row = table + image * COLUMNS, *from = dy + image * channels * plane;
    float *to = dx + image * channels * plane + pixel;
    const int r = int(pixel / w) + int(row[4]), q = int(pixel % w) + int(row[5]);
    const bool there = r >= 0 && r < h && q >= 0 && q < w && source(row, r, q, h, w) >= 0;
    const size_t at = there ? size_t(r) * w + q : 0;
    float gray = 0;
    for (int c = 0; c < channels && there; c++) gray += from[c * plane + at];
    const float rest = gray * (row[1] / channels) + row[2] * kept[image], of_mean = row[2] * kept[image];
    for (int c = 0; c < channels; c++) to[c * plane] = there ? row[0] * from[c * plane + at] + rest : of_mean;
}
