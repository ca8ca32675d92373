//! Upsampling and the convolution after it in candle's own operations.
use crate::ops::conv2d::reference::conv2d;
use crate::ops::conv2d::shape::{Conv2dSpec, expect_values};
use candle_core::{Result, Tensor};

/// Nearest-neighbour upsampling by two; see [`upsample_nearest2x`](crate::upsample_nearest2x).
pub(crate) fn upsample_nearest2x(x: &Tensor) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    expect_values("upsample_nearest2x: result", &[b, c, h, 2, w, 2])?;
    let y = x.contiguous()?.reshape((b, c, h, 1, w, 1))?.broadcast_as((b, c, h, 2, w, 2))?;
    y.contiguous()?.reshape((b, c, 2 * h, 2 * w))
}

/// Reference implementation of [`up_conv2d`](crate::up_conv2d).
///
/// # Errors
/// Those of [`up_conv2d`](crate::up_conv2d).
pub fn up_conv2d(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    conv2d(&upsample_nearest2x(x)?, weight, None, Conv2dSpec::new(1, 1))
}
