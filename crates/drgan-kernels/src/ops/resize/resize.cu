// Resizing, in gather form both ways: each thread computes one value of a map and writes nothing else.
#include "common.cuh"

// How pixels of a resized row lie among those of the row that it is made of: pixel o at o slope + start, or at 0.
struct Axis {
    int in, out;
    double slope, start;
};

// The pixels that one lies between, and the weight of the second. between.rs has the same.
struct Between {
    int low, high;
    float of_high;
};

static __device__ Between between(const Axis &axis, int o) {
    double at = o * axis.slope + axis.start;
    at = at > 0 ? at : 0;
    const int low = min(int(at), axis.in - 1);
    return {low, min(low + 1, axis.in - 1), float(at - low)};
}

// y[map, oy, ox]. A thread per pixel, which is that of every gridDim.y-th map.
extern "C" __global__ void resize_bilinear(const float *x, float *y, size_t maps, int h, int w, int oh, int ow, double slope_y, double start_y, double slope_x,
                                           double start_x) {
    const size_t i = thread_number(), in = size_t(h) * w, out = size_t(oh) * ow;
    if (i >= out) return;
    const Between row = between({h, oh, slope_y, start_y}, i / ow), column = between({w, ow, slope_x, start_x}, i % ow);
    for (size_t map = blockIdx.y; map < maps; map += gridDim.y) {
        const float *low = x + map * in + size_t(row.low) * w, *high = x + map * in + size_t(row.high) * w;
        const float left = low[column.low] * (1 - row.of_high) + high[column.low] * row.of_high;
        const float right = low[column.high] * (1 - row.of_high) + high[column.high] * row.of_high;
        y[map * out + i] = left * (1 - column.of_high) + right * column.of_high;
    }
}

// Pixels of the resized row among which all are that read pixel i: from the first on, before the second.
static __device__ int2 readers(const Axis &axis, int i) {
    if (axis.slope == 0) return {0, axis.out}; // one pixel is made, or made of
    const double from = (i - 1 - axis.start) / axis.slope, to = (i + 1 - axis.start) / axis.slope;
    return {from > 0 ? min(int(from), axis.out) : 0, to < axis.out - 1 ? int(to) + 2 : axis.out};
}

// The weight of pixel i in what lies there; negative where it is not read.
static __device__ float weight(const Between &at, int i) {
    if (at.low != i) return at.high == i ? at.of_high : -1;
    return at.high == i ? 1 : 1 - at.of_high;
}

// dx of resize_bilinear. A thread per pixel of x, as above.
extern "C" __global__ void resize_bilinear_backward(const float *dy, float *dx, size_t maps, int h, int w, int oh, int ow, double slope_y, double start_y,
                                                    double slope_x, double start_x) {
    const Axis rows{h, oh, slope_y, start_y}, columns{w, ow, slope_x, start_x};
    const size_t i = thread_number(), in = size_t(h) * w, out = size_t(oh) * ow;
    if (i >= in) return;
    const int row = i / w, column = i % w;
    const int2 over_y = readers(rows, row), over_x = readers(columns, column);
    for (size_t map = blockIdx.y; map < maps; map += gridDim.y) {
        double sum = 0;
        for (int oy = over_y.x; oy < min(over_y.y, oh); oy++) {
            const float by = weight(between(rows, oy), row);
            if (by < 0) continue;
            for (int ox = over_x.x; ox < min(over_x.y, ow); ox++) {
                const float of = weight(between(columns, ox), column);
                if (of >= 0) sum += double(by * of) * dy[map * out + size_t(oy) * ow + ox];
            }
        }
        dx[map * in + i] = sum;
    }
}

// y[map, oy, ox] = the mean of a block of h x w pixels. A thread per value of y.
extern "C" __global__ void resize_area(const float *x, float *y, size_t maps, int h, int w, int oh, int ow) {
    const size_t i = thread_number(), out = size_t(oh) * ow, side = size_t(ow) * w;
    if (i >= maps * out) return;
    const size_t map = i / out, row = i % out / ow, column = i % ow;
    const float *block = x + (map * oh + row) * h * side + column * w;
    double sum = 0;
    for (int top = 0; top < h; top++)
        for (int left = 0; left < w; left++) sum += block[top * side + left];
    y[i] = sum / (double(h) * w);
}

// dx of resize_area. A thread per value of x.
extern "C" __global__ void resize_area_backward(const float *dy, float *dx, size_t maps, int h, int w, int oh, int ow) {
    const size_t i = thread_number(), side = size_t(ow) * w;
    if (i >= maps * oh * h * side) return;
    dx[i] = dy[i / side / h * ow + i % side / w] / (float(h) * w);
}
