// Pooling by square windows, in gather form both ways: each thread computes one value and writes nothing else.
#include "common.cuh"

// Sides of the maps, and the windows.
struct Window {
    int h, w, oh, ow, kernel, stride, padding;
};

// Where the largest value of a window lies in its map: the first of equal ones, the last NaN.
static __device__ int largest(const float *map, const Window &p, int oy, int ox) {
    int at = oy * p.stride * p.w + ox * p.stride;
    float best = map[at];
    for (int y = 0; y < p.kernel; y++)
        for (int x = 0; x < p.kernel; x++) {
            const int i = (oy * p.stride + y) * p.w + ox * p.stride + x;
            if (map[i] > best || isnan(map[i])) best = map[i], at = i;
        }
    return at;
}

// The first window that reaches row or column i, and the one after the last.
static __device__ int first_window(const Window &p, int i) {
    const int from = i + p.padding - p.kernel;
    return from < 0 ? 0 : from / p.stride + 1;
}
static __device__ int end_window(const Window &p, int i, int windows) { return min((i + p.padding) / p.stride + 1, windows); }

// y[map, oy, ox] = the largest of the window. A thread per value of y.
extern "C" __global__ void pool_max(const float *x, float *y, size_t maps, int h, int w, int oh, int ow, int kernel, int stride) {
    const Window p{h, w, oh, ow, kernel, stride, 0};
    const size_t i = thread_number(), out = size_t(oh) * ow;
    if (i >= maps * out) return;
    const float *map = x + i / out * h * w;
    y[i] = map[largest(map, p, i % out / ow, i % ow)];
}

// dx of pool_max. A thread per value of x.
extern "C" __global__ void pool_max_backward(const float *x, const float *dy, float *dx, size_t maps, int h, int w, int oh, int ow, int kernel,
                                             int stride) {
    const Window p{h, w, oh, ow, kernel, stride, 0};
    const size_t i = thread_number(), in = size_t(h) * w;
    if (i >= maps * in) return;
    const int at = i % in, row = at / w, column = at % w;
    const float *map = x + i / in * in, *of_map = dy + i / in * oh * ow;
    float sum = 0;
    for (int oy = first_window(p, row); oy < end_window(p, row, oh); oy++)
        for (int ox = first_window(p, column); ox < end_window(p, column, ow); ox++)
            if (largest(map, p, oy, ox) == at) sum += of_map[size_t(oy) * ow + ox];
    dx[i] = sum;
}

// y[map, oy, ox] = the mean of the window, whose pixels outside of the map are 0. A thread per value of y.
extern "C" __global__ void pool_average(const float *x, float *y, size_t maps, int h, int w, int oh, int ow, int kernel, int stride, int padding) {
    const size_t i = thread_number(), out = size_t(oh) * ow;
    if (i >= maps * out) return;
    const float *map = x + i / out * h * w;
    const int top = int(i % out / ow) * stride - padding, left = int(i % ow) * stride - padding;
    float sum = 0;
    for (int row = max(top, 0); row < min(top + kernel, h); row++)
        for (int column = max(left, 0); column < min(left + kernel, w); column++) sum += map[size_t(row) * w + column];
    y[i] = sum / float(kernel * kernel);
}

// dx of pool_average. A thread per value of x.
extern "C" __global__ void pool_average_backward(const float *dy, float *dx, size_t maps, int h, int w, int oh, int ow, int kernel, int stride,
                                                 int padding) {
    const Window p{h, w, oh, ow, kernel, stride, padding};
    const size_t i = thread_number(), in = size_t(h) * w;
    if (i >= maps * in) return;
    const int row = i % in / w, column = i % w;
    const float *of_map = dy + i / in * oh * ow;
    float sum = 0;
    for (int oy = first_window(p, row); oy < end_window(p, row, oh); oy++)
        for (int ox = first_window(p, column); ox < end_window(p, column, ow); ox++) sum += of_map[size_t(oy) * ow + ox];
    dx[i] = sum / float(kernel * kernel);
}

// The mean of a plane. A block per plane.
extern "C" __global__ void pool_mean(const float *x, float *y, size_t plane) {
    double sum = 0;
    for (size_t i = threadIdx.x; i < plane; i += THREADS) sum += x[blockIdx.x * plane + i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) y[blockIdx.x] = sum / plane;
}

// A thread per pixel of x.
extern "C" __global__ void pool_mean_backward(const float *dy, float *dx, size_t n, size_t plane) {
    const size_t i = thread_number();
    if (i < n) dx[i] = dy[i / plane] / plane;
}
