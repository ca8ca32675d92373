// What convolutions by matrix products and by cuDNN need around them: columns (im2col) and back, and padded or upsampled maps.
// All in gather form: each thread computes one value and writes nothing else.
#include "common.cuh"

// The sizes of a convolution. h and w are the sides of the map that taps read, `up` times those of the map in memory; top and left
// are zeros around it.
struct Conv {
    int c, h, w, kh, kw, stride, top, left, oh, ow, up;
};
#define SIZES int c, int h, int w, int kh, int kw, int stride, int top, int left, int oh, int ow, int up
#define CONV \
    Conv { c, h, w, kh, kw, stride, top, left, oh, ow, up }

// columns[tap, image, pixel] = what the tap reads at output pixel `pixel`, for the rows of each image from row `first` on; a tap is a
// channel and a place of the kernel. Images are `image_step` values apart, taps `tap_step`. A thread per tap and pixel, times images.
extern "C" __global__ void conv_columns(const float *x, float *columns, SIZES, int first, int rows, size_t image_step, size_t tap_step) {
    const Conv g = CONV;
    const size_t i = thread_number(), pixels = size_t(rows) * g.ow, image = blockIdx.y;
    const size_t tap = i / pixels, pixel = i % pixels;
    if (tap >= size_t(g.c) * g.kh * g.kw) return;
    const int u = tap / g.kw % g.kh, v = tap % g.kw, channel = tap / g.kw / g.kh;
    const int row = (first + int(pixel / g.ow)) * g.stride + u - g.top, column = int(pixel % g.ow) * g.stride + v - g.left;
    float value = 0;
    if (row >= 0 && row < g.h && column >= 0 && column < g.w)
        value = x[((image * g.c + channel) * (g.h / g.up) + row / g.up) * (g.w / g.up) + column / g.up];
    columns[image * image_step + tap * tap_step + pixel] = value;
}

// dx from the gradient of columns, which lie image by image: the sum over all taps that read a pixel. With `add` it is added to dx,
// for the next rows. A thread per value of an image in memory, times images.
extern "C" __global__ void conv_from_columns(const float *columns, float *dx, SIZES, int first, int rows, int add) {
    const Conv g = CONV;
    const size_t i = thread_number(), image = blockIdx.y, in_h = g.h / g.up, in_w = g.w / g.up, pixels = size_t(rows) * g.ow;
    const size_t channel = i / (in_h * in_w), taps = size_t(g.kh) * g.kw, at = image * g.c * in_h * in_w + i;
    if (channel >= size_t(g.c)) return;
    const float *of_image = columns + (image * g.c + channel) * taps * pixels;
    const int from_row = i / in_w % in_h * g.up + g.top, from_column = i % in_w * g.up + g.left;
    float sum = add ? dx[at] : 0;
    for (int row = from_row; row < from_row + g.up; row++)
        for (int u = 0; u < g.kh; u++) {
            const int oy = (row - u) / g.stride - first;
            if (row < u || (row - u) % g.stride || oy < 0 || oy >= rows) continue;
            for (int column = from_column; column < from_column + g.up; column++)
                for (int v = 0; v < g.kw; v++) {
                    const int ox = (column - v) / g.stride;
                    if (column < v || (column - v) % g.stride || ox >= g.ow) continue;
                    sum += of_image[(size_t(u) * g.kw + v) * pixels + size_t(oy) * g.ow + ox];
                }
        }
    dx[at] = sum;
}

// out[channel, image, i] = value number first + i of the image's map: maps of n images, (images, channels, plane), by channel. A
// thread per channel and value, times images.
extern "C" __global__ void conv_by_channel(const float *x, float *out, size_t channels, size_t plane, size_t first, size_t count) {
    const size_t i = thread_number(), image = blockIdx.y, channel = i / count;
    if (channel >= channels) return;
    out[(channel * gridDim.y + image) * count + i % count] = x[(image * channels + channel) * plane + first + i % count];
}

// Maps of h x w with zeros around them, each pixel `up` times in both directions before: y is (maps, ph, pw), its pixel (top, left)
// the first of x. A thread per value of y.
extern "C" __global__ void conv_spread(const float *x, float *y, size_t maps, int h, int w, int ph, int pw, int top, int left, int up) {
    const size_t i = thread_number(), out = size_t(ph) * pw;
    if (i >= maps * out) return;
    const int row = int(i % out / pw) - top, column = int(i % pw) - left;
    const bool inside = row >= 0 && row < h * up && column >= 0 && column < w * up;
    y[i] = inside ? x[(i / out * h + row / up) * w + column / up] : 0;
}

// dx of conv_spread. A thread per value of x.
extern "C" __global__ void conv_spread_backward(const float *dy, float *dx, size_t maps, int h, int w, int ph, int pw, int top, int left, int up) {
    const size_t i = thread_number(), in = size_t(h) * w;
    if (i >= maps * in) return;
    const float *map = dy + i / in * ph * pw;
    const int row = int(i % in / w) * up + top, column = int(i % w) * up + left;
    float sum = 0;
    for (int y = row; y < row + up; y++)
        for (int x = column; x < column + up; x++) sum += map[size_t(y) * pw + x];
    dx[i] = sum;
}
