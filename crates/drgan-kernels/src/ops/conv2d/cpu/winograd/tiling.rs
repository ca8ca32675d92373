//! The tilings: patches and outputs of a tile, and the transforms between them.
use super::transforms::{
    Linear, Sum, UpsampledGradientInput, UpsampledInput, UpsampledOutput, WinogradInput, WinogradOutput,
};

/// A pair of transforms: `I x I` patches, `STEP` apart, to `E x E` products to `O x O` outputs.
pub(super) trait Tiling<const STEP: usize, const I: usize, const E: usize, const O: usize> {
    /// The transform from patches to products.
    type Input: Linear<I, E>;
    /// The transform from products to outputs.
    type Output: Linear<E, O>;
    /// Whether an output is the plain sum of all products, so that they can be summed while they are made.
    const MERGED: bool = false;
}

/// Winograd convolution F(4x4, 3x3).
pub(super) struct Winograd;

impl Tiling<4, 6, 6, 4> for Winograd {
    type Input = WinogradInput;
    type Output = WinogradOutput;
}

/// Nearest-neighbour upsampling by two, then a 3x3 convolution.
pub(super) struct Upsampled;

impl Tiling<1, 3, 3, 2> for Upsampled {
    type Input = UpsampledInput;
    type Output = UpsampledOutput;
}

/// The input gradient of [`Upsampled`].
pub(super) struct UpsampledGradient;

impl Tiling<2, 4, 3, 1> for UpsampledGradient {
    type Input = UpsampledGradientInput;
    type Output = Sum;
    const MERGED: bool = true;
}

/// F(4, 3)'s filter transform.
pub(super) const WINOGRAD_KERNEL: [[f32; 3]; 6] = [
    [1. / 4., 0., 0.],
    [-1. / 6., -1. / 6., -1. / 6.],
    [-1. / 6., 1. / 6., -1. / 6.],
    [1. / 24., 1. / 12., 1. / 6.],
    [1. / 24., -1. / 12., 1. / 6.],
    [0., 0., 1.],
];
/// The filter transform after upsampling: the sum of the taps, the first and the last.
pub(super) const UPSAMPLED_KERNEL: [[f32; 3]; 3] = [[1., 1., 1.], [1., 0., 0.], [0., 0., 1.]];
