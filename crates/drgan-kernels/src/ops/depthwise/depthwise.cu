// Depth-wise convolution with its bias and activation, in gather form both ways.
#include "activation.cuh"
#include "common.cuh"

// y[map, oy, ox] = act(sum over the taps + bias); outside of the map a tap multiplies 0, which is NaN for a weight that is not
// finite. A thread per value of y.
extern "C" __global__ void depthwise_forward(const float *x, const float *weight, const float *bias, float *y, size_t maps, int c, int h, int w,
                                             int kh, int kw, int stride, int top, int left, int oh, int ow, int act, float slope) {
    const size_t i = thread_number(), out = size_t(oh) * ow, map = i / out, channel = map % c;
    if (i >= maps * out) return;
    const float *from = x + map * h * w, *kernel = weight + channel * kh * kw;
    const int row = int(i % out / ow) * stride - top, column = int(i % ow) * stride - left;
    float sum = 0;
    for (int u = 0; u < kh; u++)
        for (int v = 0; v < kw; v++) {
            const int y_in = row + u, x_in = column + v;
            const bool inside = y_in >= 0 && y_in < h && x_in >= 0 && x_in < w;
            sum += kernel[u * kw + v] * (inside ? from[size_t(y_in) * w + x_in] : 0);
        }
    y[i] = activated(act, slope, sum + bias[channel]);
}

// dx from y, its gradient and the weight. A thread per value of x.
extern "C" __global__ void depthwise_backward(const float *weight, const float *y, const float *dy, float *dx, size_t maps, int c, int h, int w,
                                              int kh, int kw, int stride, int top, int left, int oh, int ow, int act, float slope) {
    const size_t i = thread_number(), in = size_t(h) * w, map = i / in;
    if (i >= maps * in) return;
    const float *kernel = weight + map % c * kh * kw, *of_y = y + map * oh * ow, *of_dy = dy + map * oh * ow;
    const int row = int(i % in / w) + top, column = int(i % w) + left;
    float sum = 0;
    for (int u = 0; u < kh && u <= row; u++) {
        const int oy = (row - u) / stride;
        if ((row - u) % stride || oy >= oh) continue;
        for (int v = 0; v < kw && v <= column; v++) {
            const int ox = (column - v) / stride;
            if ((column - v) % stride || ox >= ow) continue;
            const size_t at = size_t(oy) * ow + ox;
            sum += kernel[u * kw + v] * activation_gradient(act, slope, of_y[at], of_dy[at]);
        }
    }
    dx[i] = sum;
}
