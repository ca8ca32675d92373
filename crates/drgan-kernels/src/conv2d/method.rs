//! Which way a convolution goes, by its shape.
//!
//! | shape | way | why (docs/benchmarks.md, ways of a convolution) |
//! | --- | --- | --- |
//! | doubled, 3x3 | minimal filtering | a quarter of the multiplications, exactly |
//! | 3x3 stride 1, 64 pixels or more | minimal filtering, F(4x4, 3x3) | a quarter of the multiplications |
//! | the same with fewer than 8 channels on one side, AVX-512 | direct | transforms would cost more than they save |
//! | all others | patches and matrix products | any stride and kernel; small maps share a product |
#[cfg(target_arch = "x86_64")]
use super::direct;
use super::epilogue::Epilogue;
use super::im2col::{self, Geometry};
use super::minimal;
#[cfg(target_arch = "x86_64")]
use super::stride1;
use crate::simd::Isa;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Patches,
    Minimal,
    #[cfg(target_arch = "x86_64")]
    Direct,
}

/// Channels on either side from which transforms pay.
const CHANNELS: usize = 8;
/// Output pixels from which they do.
const PIXELS: usize = 64;

fn method(g: &Geometry) -> Method {
    let p = g.padding;
    let three = (g.kh, g.kw, g.stride) == (3, 3, 1) && p.top.max(p.bottom).max(p.left).max(p.right) <= 2;
    if !three || !(g.up || g.oh * g.ow >= PIXELS) {
        return Method::Patches;
    }
    if g.up || g.c.min(g.o) >= CHANNELS {
        return Method::Minimal;
    }
    #[cfg(target_arch = "x86_64")]
    if direct::available() {
        return Method::Direct;
    }
    Method::Patches
}

/// Whether a convolution goes by minimal filtering.
pub(super) fn is_minimal(g: &Geometry) -> bool {
    method(g) == Method::Minimal
}

/// `y = conv(x, weight) + bias`.
pub(super) fn forward(g: &Geometry, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    match method(g) {
        Method::Patches => im2col::forward(g, x, weight, bias),
        Method::Minimal => {
            let isa = Isa::best();
            let kernels = minimal::transform(isa, g, weight, None, false);
            minimal::forward(isa, g, x, &kernels, &Epilogue::bias(bias))
        }
        #[cfg(target_arch = "x86_64")]
        Method::Direct => stride1::forward(g, x, weight, bias),
    }
}

/// Gradient of the input as it lies in memory.
pub(super) fn input_gradient(g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    if is_minimal(g) {
        return minimal::input_gradient(Isa::best(), g, dy, weight);
    }
    match g.turned(weight) {
        Some((back, turned)) => forward(&back, dy, &turned, None),
        None => im2col::scatter_gradient(g, dy, weight),
    }
}

/// Gradient of the weight.
pub(super) fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    match method(g) {
        Method::Patches => im2col::weight_gradient(g, x, dy),
        Method::Minimal => minimal::weight_gradient(Isa::best(), g, x, dy),
        #[cfg(target_arch = "x86_64")]
        Method::Direct => stride1::weight_gradient(g, x, dy),
    }
}
