// Sums over images and pixels, one or more for each channel: block_sum in double, always in the same order. Where channels have
// many values, several blocks take a part of them each, and channels_sum_parts adds the parts.
#include "channels.cuh"

// sums[c] = the channel's values. A block per channel and part.
extern "C" __global__ void channels_sum(const float *x, double *parts, float *sums, size_t images, size_t channels, size_t plane) {
    const float *map = x + blockIdx.x * plane;
    double sum = 0;
    each_of_part(images, plane, [&](size_t image, size_t pixel) { sum += map[image * channels * plane + pixel]; });
    leave(block_sum(sum), sums + blockIdx.x, parts, blockIdx.x);
}

// The gradients of scale and shift of channels_activate. A block per channel of dy and part.
extern "C" __global__ void channels_sum_gradients(const float *x, const float *scale, const float *shift, const float *statistics,
                                                  const float *dy, double *parts, float *d_scale, float *d_shift, size_t images,
                                                  size_t channels, size_t plane, int act, float slope) {
    const size_t c = blockIdx.x, out = gridDim.x, gate = c + out;
    const Scales scales{scale, shift, statistics, channels};
    const bool gated = act == GLU;
    const Affine by = scales.of(c), by_gate = gated ? scales.of(gate) : by;
    const float mean = scales.mean(c), gate_mean = gated ? scales.mean(gate) : 0;
    double sum = 0, of_x = 0, gate_sum = 0, of_gate = 0;
    each_of_part(images, plane, [&](size_t image, size_t pixel) {
        const float *at = x + (image * channels + c) * plane + pixel;
        const float value = at[0], d = dy[(image * out + c) * plane + pixel];
        float dz;
        if (gated) {
            const float of = at[out * plane];
            const GluGradient both = glu_gradient(by(value), by_gate(of), d);
            dz = both.value;
            gate_sum += both.gate;
            of_gate += double(of - gate_mean) * both.gate;
        } else {
            dz = activation_gradient(act, slope, by(value), d);
        }
        sum += dz;
        of_x += double(value - mean) * dz;
    });
    leave(block_sum(of_x) * scales.inverse(c), d_scale + c, parts, c);
    leave(block_sum(sum), d_shift + c, parts, channels + c);
    if (!gated) return;
    leave(block_sum(of_gate) * scales.inverse(gate), d_scale + gate, parts, gate);
    leave(block_sum(gate_sum), d_shift + gate, parts, channels + gate);
}

// The parts of two sums for each of n channels, or of one; `second` is not written then. A thread per channel and sum.
extern "C" __global__ void channels_sum_parts(const double *parts, float *first, float *second, size_t n, int parts_each) {
    const size_t i = thread_number();
    if (i >= (second ? 2 * n : n)) return;
    const double sum = sum_of_parts(parts, i, parts_each);
    if (i < n) first[i] = sum;
    else second[i - n] = sum;
}
