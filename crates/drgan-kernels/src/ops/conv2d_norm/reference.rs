//! A convolution and its batch normalization in candle's own operations.
use super::spec::ConvNormSpec;
use crate::ops::batch_norm::normalized::Normalized;
use crate::ops::batch_norm::reference::batch_norm;
use crate::ops::conv2d::reference::conv2d;
use crate::ops::upsample::reference::up_conv2d;
use candle_core::{Result, Tensor};

/// Reference implementation of [`conv2d_batch_norm`](crate::conv2d_batch_norm).
///
/// # Errors
/// Those of [`conv2d_batch_norm`](crate::conv2d_batch_norm).
pub fn conv2d_batch_norm(
    x: &Tensor,
    weight: &Tensor,
    norm: (&Tensor, &Tensor),
    spec: ConvNormSpec,
) -> Result<Normalized> {
    let y = if spec.upsample { up_conv2d(x, weight)? } else { conv2d(x, weight, None, spec.conv)? };
    batch_norm(&y, norm.0, norm.1, spec.eps, spec.act, None)
}
