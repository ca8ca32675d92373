// The softplus of one value.
#pragma once

static __device__ inline double softplus(double x) { return (x < 0 ? 0 : x) + log1p(exp(x < 0 ? x : -x)); }

// Its derivative.
static __device__ inline double sigmoid_of(double x) { return 1 / (1 + exp(-x)); }
