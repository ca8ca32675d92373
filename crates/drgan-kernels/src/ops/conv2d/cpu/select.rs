//! Selects the algorithm of a convolution by its shape.
//!
//! | shape | algorithm | why (docs/benchmarks.md, algorithms of a convolution) |
//! | --- | --- | --- |
//! | kernel as large as the map | fully connected | one matrix product; nothing is shared between outputs |
//! | upsampled, 3x3 | Winograd | a quarter of the multiplications, exactly |
//! | 3x3 stride 1, 64 output pixels or more | Winograd, F(4x4, 3x3) | a quarter of the multiplications |
//! | the same with fewer than 8 channels on one side, for the weight's gradient up to 32 | direct | transforms would cost more than they save |
//! | 4x4 stride 2, 64 output pixels or more, up to 2,048 kernels | direct, by phases | no im2col matrix to write and read |
//! | all others | im2col + GEMM | any stride and kernel; small maps share a product |
use super::direct;
use super::im2col;
use super::winograd;
use crate::cpu::simd::Isa;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::shape::{ConvShape, Padding};
use crate::ops::linear::cpu as linear;

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConvAlgorithm {
    /// One matrix product over the batch.
    FullyConnected,
    /// Transforms and products over channels, see [`winograd`].
    Winograd,
    /// Sums of shifted rows, see [`direct`].
    Direct,
    /// A matrix of patches and a product, see [`im2col`].
    Im2col,
}

/// Channels on either side from which transforms pay.
const CHANNELS: usize = 8;
/// Channels on one side up to which a weight's gradient is faster without transforms.
const FEW: usize = 32;
/// Output pixels from which they do, and strided convolutions are computed directly.
const PIXELS: usize = 64;
/// Kernels (channels in times channels out) of a strided convolution up to which it is computed directly: more of them do
/// better by matrix products.
const STRIDED: usize = 2048;

fn algorithm(g: &ConvShape) -> ConvAlgorithm {
    let p = g.padding;
    if (g.kh, g.kw) == (g.h, g.w) && p == Padding::default() && !g.upsample {
        return ConvAlgorithm::FullyConnected;
    }
    let reach = p.widest();
    match (g.kh, g.kw, g.stride) {
        (3, 3, 1) if g.upsample => ConvAlgorithm::Winograd,
        (3, 3, 1) if reach <= 2 && g.oh * g.ow >= PIXELS => {
            if g.c.min(g.o) >= CHANNELS {
                ConvAlgorithm::Winograd
            } else {
                ConvAlgorithm::Direct
            }
        }
        (4, 4, 2) if g.oh * g.ow >= PIXELS && g.c * g.o <= STRIDED => ConvAlgorithm::Direct,
        _ => ConvAlgorithm::Im2col,
    }
}

/// Whether a convolution is computed by Winograd's algorithm.
pub(crate) fn is_winograd(g: &ConvShape) -> bool {
    algorithm(g) == ConvAlgorithm::Winograd
}

/// `conv(x, weight)` with its epilogue.
pub(crate) fn forward(g: &ConvShape, x: &[f32], weight: &[f32], epilogue: &Epilogue<'_>) -> Vec<f32> {
    let isa = Isa::best();
    match algorithm(g) {
        ConvAlgorithm::FullyConnected => epilogue.finish_maps(g, linear::forward(x, weight, whole(g))),
        ConvAlgorithm::Winograd => {
            let gated = epilogue.act == Activation::Glu;
            let kernels = winograd::transform(isa, g, weight, None, gated);
            winograd::forward(isa, g, x, &kernels, epilogue)
        }
        ConvAlgorithm::Direct => direct::forward(isa, g, 1, x, weight, epilogue),
        ConvAlgorithm::Im2col => im2col::forward(g, x, weight, epilogue),
    }
}

/// Gradient of the input as it lies in memory.
pub(crate) fn input_gradient(g: &ConvShape, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    match algorithm(g) {
        ConvAlgorithm::FullyConnected => linear::input_gradient(dy, weight, whole(g)),
        ConvAlgorithm::Winograd => winograd::input_gradient(Isa::best(), g, dy, weight),
        ConvAlgorithm::Direct => direct::input_gradient(Isa::best(), g, 1, dy, weight),
        ConvAlgorithm::Im2col => {
            if let Some(dx) = im2col::pointwise_gradient(g, dy, weight) {
                return dx;
            }
            match g.flipped(weight) {
                Some((back, flipped)) => forward(&back, dy, &flipped, &Epilogue::bias(None)),
                None => im2col::scatter_gradient(g, dy, weight),
            }
        }
    }
}

/// Gradient of the weight.
pub(crate) fn weight_gradient(g: &ConvShape, x: &[f32], dy: &[f32]) -> Vec<f32> {
    match algorithm(g) {
        ConvAlgorithm::FullyConnected => linear::weight_gradient(x, dy, whole(g)),
        ConvAlgorithm::Winograd if g.upsample || g.c.min(g.o) > FEW => {
            winograd::weight_gradient(Isa::best(), g, x, dy)
        }
        ConvAlgorithm::Winograd => direct::weight_gradient(Isa::best(), g, x, dy),
        ConvAlgorithm::Direct if direct::has_weight_gradient(g) => {
            direct::weight_gradient(Isa::best(), g, x, dy)
        }
        ConvAlgorithm::Direct | ConvAlgorithm::Im2col => im2col::weight_gradient(g, x, dy),
    }
}

/// Batch, inputs and outputs of the linear map that a convolution of one output pixel is.
fn whole(g: &ConvShape) -> (usize, usize, usize) {
    (g.b, g.c * g.h * g.w, g.o)
}
