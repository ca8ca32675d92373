// Activations of one value and their derivatives, as ops/activation/scalar.rs has them for the CPU: NaN stays NaN, and where z is
// NaN its gradient passes.
#pragma once

// The numbers that activation.rs gives to kernels.
enum { IDENTITY, RELU, RELU6, LEAKY_RELU, GLU };

// 0 at minus infinity, 1 at infinity.
static __device__ inline float sigmoid(float z) { return 1.f / (1.f + expf(-z)); }

// act(z), unless it is gated: that takes two values.
static __device__ inline float activated(int act, float slope, float z) {
    switch (act) {
    case RELU: return z < 0 ? 0 : z;
    case RELU6: return z < 0 ? 0 : z > 6 ? 6 : z;
    case LEAKY_RELU: return z > 0 ? z : slope * z;
    default: return z;
    }
}

// The gradient of z from dy, that of act(z), unless it is gated.
static __device__ inline float activation_gradient(int act, float slope, float z, float dy) {
    switch (act) {
    case RELU: return z <= 0 ? 0 : dy;
    case RELU6: return z <= 0 || z >= 6 ? 0 : dy;
    case LEAKY_RELU: return z > 0 ? dy : slope * dy;
    default: return dy;
    }
}

// The gradients of both values of `value sigmoid(gate)` from dy, that of the result.
struct GluGradient {
    float value, gate;
};
static __device__ inline GluGradient glu_gradient(float value, float gate, float dy) {
    const float s = sigmoid(gate);
    return {dy * s, dy * value * s * (1 - s)};
}
