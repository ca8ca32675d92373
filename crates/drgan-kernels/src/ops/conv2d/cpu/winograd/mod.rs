//! Winograd convolution: convolutions with fewer multiplications than taps.
//!
//! A map is divided into tiles. A patch of the input becomes `E` values per channel (a linear transform), the kernel becomes `E`
//! values per pair of channels, the convolution becomes `E` matrix products over channels, and their results become the
//! tile's output (a linear transform again). Transforms are separable; [`transforms`] holds their one-dimensional halves.
//!
//! | tiling | patch, step | E | outputs | multiplications per output | of a direct convolution's |
//! | --- | --- | --- | --- | --- | --- |
//! | [`Winograd`], F(4x4, 3x3) | 6x6, 4 | 36 | 4x4 | 2.25 | 1/4 |
//! | [`Upsampled`], nearest x2 then 3x3 | 3x3, 1 | 9 | 2x2 | 2.25 | 1/4 |
//! | [`UpsampledGradient`], its input's gradient | 4x4, 2 | 9 | 1x1 | 9 | 1/4 |
//!
//! Winograd's is exact in real numbers and loses about a digit in f32. The upsampled tilings lose nothing: in one dimension, with
//! taps `w0, w1, w2`, `s = w0 + w1 + w2` and `d_j = x_j - x_{j-1}`, the upsampled map's convolution is
//! `y_{2j} = s x_j - w0 d_j` and `y_{2j+1} = s x_j + w2 d_{j+1}`: three products for two outputs.
//!
//! The kernel's gradient is the transposed algorithm: `E` products of transformed patches and transformed gradients, summed
//! over tiles ([`gradient`]).
mod forward;
mod gradient;
mod grid;
mod tiling;
mod transforms;
mod weights;

use crate::cpu::simd::Isa;
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::shape::ConvShape;
use grid::{Grid, Maps};
use tiling::{UPSAMPLED_KERNEL, Upsampled, UpsampledGradient, WINOGRAD_KERNEL, Winograd};
use transforms::{UpsampledInput, UpsampledOutputGradient, WinogradInput, WinogradOutputGradient};
use weights::Filters;
pub(crate) use weights::Transformed;

/// The filters of `g`'s forward pass, transformed; `scale`, if any, multiplies each output channel.
pub(crate) fn transform(
    isa: Isa,
    g: &ConvShape,
    weight: &[f32],
    scale: Option<&[f32]>,
    gated: bool,
) -> Transformed {
    let kernels = Filters { scale, ..Filters::plain(weight, g.o, g.c) };
    if g.upsample {
        Transformed::new(isa, &UPSAMPLED_KERNEL, &kernels, gated)
    } else {
        Transformed::new(isa, &WINOGRAD_KERNEL, &kernels, gated)
    }
}

/// `y = epilogue(conv(x))`, with the kernels that [`transform`] made.
pub(crate) fn forward(
    isa: Isa,
    g: &ConvShape,
    x: &[f32],
    kernels: &Transformed,
    epilogue: &Epilogue<'_>,
) -> Vec<f32> {
    let to = (g.oh, g.ow);
    if g.upsample {
        let from = Maps { values: x, channels: g.c, h: g.h / 2, w: g.w / 2, top: 1, left: 1 };
        let grid = Grid { b: g.b, rows: g.h / 2, cols: g.w / 2 };
        forward::run::<Upsampled, 1, 3, 3, 2>(isa, grid, from, kernels, to, epilogue)
    } else {
        let p = g.padding;
        let from = Maps { values: x, channels: g.c, h: g.h, w: g.w, top: p.top, left: p.left };
        let grid = Grid { b: g.b, rows: g.oh.div_ceil(4), cols: g.ow.div_ceil(4) };
        forward::run::<Winograd, 4, 6, 6, 4>(isa, grid, from, kernels, to, epilogue)
    }
}

/// Gradient of the input as it lies in memory.
pub(crate) fn input_gradient(isa: Isa, g: &ConvShape, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let nothing = Epilogue::bias(None);
    if g.upsample {
        let kernels = Transformed::new(isa, &UPSAMPLED_KERNEL, &Filters::swapped(weight, g.o, g.c), false);
        let from = Maps { values: dy, channels: g.o, h: g.oh, w: g.ow, top: 1, left: 1 };
        let to = (g.h / 2, g.w / 2);
        let grid = Grid { b: g.b, rows: to.0, cols: to.1 };
        return forward::run::<UpsampledGradient, 2, 4, 3, 1>(isa, grid, from, &kernels, to, &nothing);
    }
    let kernels = Filters { flipped: true, ..Filters::swapped(weight, g.o, g.c) };
    let kernels = Transformed::new(isa, &WINOGRAD_KERNEL, &kernels, false);
    let (top, left) = (2 - g.padding.top, 2 - g.padding.left);
    let from = Maps { values: dy, channels: g.o, h: g.oh, w: g.ow, top, left };
    let grid = Grid { b: g.b, rows: g.h.div_ceil(4), cols: g.w.div_ceil(4) };
    forward::run::<Winograd, 4, 6, 6, 4>(isa, grid, from, &kernels, (g.h, g.w), &nothing)
}

/// Gradient of the kernels, `(O, C 9)`.
pub(crate) fn weight_gradient(isa: Isa, g: &ConvShape, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let of_y = Maps { values: dy, channels: g.o, h: g.oh, w: g.ow, top: 0, left: 0 };
    if g.upsample {
        let of_x = Maps { values: x, channels: g.c, h: g.h / 2, w: g.w / 2, top: 1, left: 1 };
        let grid = Grid { b: g.b, rows: g.h / 2, cols: g.w / 2 };
        gradient::run::<UpsampledInput, UpsampledOutputGradient, 1, 3, 2, 2, 3>(
            isa,
            grid,
            of_x,
            of_y,
            &UPSAMPLED_KERNEL,
        )
    } else {
        let p = g.padding;
        let of_x = Maps { values: x, channels: g.c, h: g.h, w: g.w, top: p.top, left: p.left };
        let grid = Grid { b: g.b, rows: g.oh.div_ceil(4), cols: g.ow.div_ceil(4) };
        gradient::run::<WinogradInput, WinogradOutputGradient, 4, 6, 4, 4, 6>(
            isa,
            grid,
            of_x,
            of_y,
            &WINOGRAD_KERNEL,
        )
    }
}

#[cfg(test)]
mod tests;
