// An activation after a scale and a shift per channel, and its gradient: what activations, batch normalization and normalization
// by running statistics have in common.
#include "channels.cuh"

// y = act(z) + residual, the residual being optional. A thread per value of y.
extern "C" __global__ void channels_activate(const float *x, const float *scale, const float *shift, const float *statistics,
                                             const float *residual, float *y, size_t n, size_t channels, size_t plane, int act,
                                             float slope) {
    const size_t i = thread_number(), out = act == GLU ? channels / 2 : channels;
    if (i >= n) return;
    const size_t map = i / plane, c = map % out, at = (map / out * channels + c) * plane + i % plane;
    const Scales scales{scale, shift, statistics, channels};
    const float z = scales.of(c)(x[at]);
    float result;
    if (act == GLU) result = z * sigmoid(scales.of(c + out)(x[at + out * plane]));
    else result = activated(act, slope, z);
    y[i] = residual ? result + residual[i] : result;
}

// dx from dz: through the scale, and through the statistics, if any, by d_scale and d_shift, the channel's gradients.
static __device__ float through(const Scales &scales, size_t c, float x, float dz, const float *d_scale, const float *d_shift, float share) {
    const float by = scales.of(c).scale;
    if (!scales.statistics) return by * dz;
    const float slope = d_scale[c] * scales.inverse(c) * share;
    return by * (dz - d_shift[c] * share - (x - scales.mean(c)) * slope);
}

// dx of channels_activate. `share` is 1 over a channel's number of values. A thread per value of dy.
extern "C" __global__ void channels_activate_backward(const float *x, const float *scale, const float *shift, const float *statistics,
                                                      const float *d_scale, const float *d_shift, const float *dy, float *dx, size_t n,
                                                      size_t channels, size_t plane, float share, int act, float slope) {
    const size_t i = thread_number(), out = act == GLU ? channels / 2 : channels;
    if (i >= n) return;
    const size_t map = i / plane, c = map % out, at = (map / out * channels + c) * plane + i % plane;
    const Scales scales{scale, shift, statistics, channels};
    const float z = scales.of(c)(x[at]);
    if (act == GLU) {
        const size_t gate = at + out * plane;
        const GluGradient dz = glu_gradient(z, scales.of(c + out)(x[gate]), dy[i]);
        dx[at] = through(scales, c, x[at], dz.value, d_scale, d_shift, share);
        dx[gate] = through(scales, c + out, x[gate], dz.gate, d_scale, d_shift, share);
    } else {
        dx[at] = through(scales, c, x[at], activation_gradient(act, slope, z, dy[i]), d_scale, d_shift, share);
    }
}
