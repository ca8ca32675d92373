//! Upsampling by two, alone and fused with the convolution after it.
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::cuda as convolution;
use crate::ops::conv2d::op::convolve;
use crate::ops::conv2d::shape::{Conv2dSpec, ConvShape, expect_values};
use candle_core::{Result, Tensor, bail};

/// Nearest-neighbour upsampling by two, on any device and in any type.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; result: `(B, C, 2 H, 2 W)`.
///
/// # Errors
/// `x` is not of rank 4.
pub fn upsample_nearest2x(x: &Tensor) -> Result<Tensor> {
    let dims @ (b, c, h, w) = x.dims4()?;
    expect_values("upsample_nearest2x: result", &[b, c, h, 2, w, 2])?;
    match backend("upsample_nearest2x", &[x])? {
        Backend::Cuda => apply_cuda(cuda::Nearest(dims), [x]),
        // Of candle's operations on the CPU too: the generator upsamples within its convolution.
        _ => reference::upsample_nearest2x(x),
    }
}

/// Nearest-neighbour upsampling by two, then a 3x3 convolution with padding 1 and no bias: the generator's up-block.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `weight`: `(O, C, 3, 3)`; result: `(B, O, 2 H, 2 W)`.
///
/// # Errors
/// Shapes that do not fit each other.
pub fn up_conv2d(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let shape = ConvShape::new(x.shape(), weight.shape(), Conv2dSpec::new(1, 1), true)?;
    if (shape.kh, shape.kw) != (3, 3) {
        bail!("up_conv2d: weight: expected (O, C, 3, 3), got {:?}", weight.dims())
    }
    match backend("up_conv2d", &[x, weight])? {
        Backend::Cpu if x.elem_count() > 0 => convolve(x, weight, None, Activation::Identity, shape),
        Backend::Cuda if x.elem_count() > 0 && weight.elem_count() > 0 => {
            convolution::convolve(x, weight, None, Activation::Identity, shape)
        }
        _ => fall_back(|| reference::up_conv2d(x, weight)),
    }
}
