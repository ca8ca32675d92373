//! Depth-wise convolution in candle's own operations.
use crate::ops::activation::kind::Activation;
use crate::ops::activation::reference::activate;
use crate::ops::conv2d::reference::patches;
use crate::ops::conv2d::shape::{Conv2dSpec, ConvShape, expect_values};
use candle_core::{Result, Tensor};

/// Reference implementation of [`depthwise_conv2d`](crate::depthwise_conv2d).
///
/// # Errors
/// Those of [`depthwise_conv2d`](crate::depthwise_conv2d).
pub fn depthwise_conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    act: Activation,
    spec: Conv2dSpec,
) -> Result<Tensor> {
    let ((b, c, h, w), (.., kh, kw)) = (x.dims4()?, weight.dims4()?);
    let ConvShape { oh, ow, .. } = ConvShape::of_sides((b, h, w), (c, c, kh, kw), spec, false)?;
    expect_values("depthwise_conv2d: patches", &[b, c, kh, kw, oh, ow])?;
    let cols = patches(x, (kh, kw), spec, (oh, ow))?; // (B, C, kh kw, oh ow)
    let y = cols.broadcast_mul(&weight.reshape((1, c, kh * kw, 1))?)?.sum(2)?.reshape((b, c, oh, ow))?;
    activate(&y.broadcast_add(&bias.reshape((1, c, 1, 1))?)?, act)
}
