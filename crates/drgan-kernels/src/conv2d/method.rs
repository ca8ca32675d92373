//! Which way a convolution goes, by its shape.
//!
//! | shape | way | why |
//! | --- | --- | --- |
//! | doubled, 3x3, AVX-512 | four phases, direct | 4/9 of the work |
//! | 3x3 stride 1, 64 pixels or more, AVX-512 | direct | no patches to copy and pack, which cost as much as the products |
//! | all others | patches and matrix products | any stride and kernel; small maps share a product |
use super::im2col::{self, Geometry};
#[cfg(target_arch = "x86_64")]
use super::{direct, phases, stride1};

enum Method {
    Patches,
    #[cfg(target_arch = "x86_64")]
    Direct,
    #[cfg(target_arch = "x86_64")]
    Phases,
}

fn method(g: &Geometry) -> Method {
    #[cfg(target_arch = "x86_64")]
    if direct::available() && (g.kh, g.kw, g.stride) == (3, 3, 1) {
        let p = g.padding;
        if g.up {
            return Method::Phases;
        }
        if g.oh * g.ow >= 64 && p.top.max(p.bottom).max(p.left).max(p.right) <= 2 {
            return Method::Direct;
        }
    }
    Method::Patches
}

/// `y = conv(x, weight) + bias`.
pub(super) fn forward(g: &Geometry, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    match method(g) {
        Method::Patches => im2col::forward(g, x, weight, bias),
        #[cfg(target_arch = "x86_64")]
        Method::Direct => stride1::forward(g, x, weight, bias),
        #[cfg(target_arch = "x86_64")]
        Method::Phases => phases::forward(g, x, weight),
    }
}

/// Gradient of the input as it lies in memory.
pub(super) fn input_gradient(g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    match method(g) {
        #[cfg(target_arch = "x86_64")]
        Method::Phases => phases::input_gradient(g, dy, weight),
        _ => match g.turned(weight) {
            Some((back, turned)) => {
                let dx = forward(&back, dy, &turned, None);
                if g.up { halve(g, &dx) } else { dx }
            }
            None => im2col::scatter_gradient(g, dy, weight),
        },
    }
}

/// Gradient of the weight.
pub(super) fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    match method(g) {
        Method::Patches => im2col::weight_gradient(g, x, dy),
        #[cfg(target_arch = "x86_64")]
        Method::Direct => stride1::weight_gradient(g, x, dy),
        #[cfg(target_arch = "x86_64")]
        Method::Phases => phases::weight_gradient(g, x, dy),
    }
}

/// The gradient of a doubled map to that of the map: each pixel has four copies.
fn halve(g: &Geometry, dx: &[f32]) -> Vec<f32> {
    let mut halved = vec![0f32; dx.len() / 4];
    for (dst, rows) in halved.chunks_exact_mut(g.w / 2).zip(dx.chunks_exact(2 * g.w)) {
        let (top, bottom) = rows.split_at(g.w);
        for (d, (t, b)) in dst.iter_mut().zip(top.chunks_exact(2).zip(bottom.chunks_exact(2))) {
            *d = (t[0] + t[1]) + (b[0] + b[1]);
        }
    }
    halved
}
