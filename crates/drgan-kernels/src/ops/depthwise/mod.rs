//! Depth-wise 2-D convolution, for feature extractors whose weights are constants.
mod cpu;
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::apply;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::shape::{Conv2dSpec, ConvShape};
use candle_core::{Result, Tensor, bail};

/// Depth-wise 2-D convolution, each channel with its own kernel, with its bias and activation: `act(conv(x) + bias)`.
///
/// The kernel wants a weight and a bias that are constants; with some that learn, the reference runs.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `weight`: `(C, 1, kh, kw)`; `bias`: `(C,)`; result: `(B, C, H', W')`, half the channels if gated.
///
/// # Errors
/// Shapes that do not fit each other.
pub fn depthwise_conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    act: Activation,
    spec: Conv2dSpec,
) -> Result<Tensor> {
    let ((b, c, h, w), (wc, one, kh, kw)) = (x.dims4()?, weight.dims4()?);
    if wc != c || one != 1 || bias.dims() != [c] {
        bail!(
            "depthwise_conv2d: weight, bias: expected ({c}, 1, kh, kw) and ({c},), got {:?} and {:?}",
            weight.dims(),
            bias.dims()
        )
    }
    let shape = ConvShape::of_sides((b, h, w), (c, c, kh, kw), spec, false)?;
    let takes = x.elem_count() > 0 && !weight.track_op() && !bias.track_op() && act.gradient_from_output();
    match backend("depthwise_conv2d", &[x, weight, bias])? {
        Backend::Cpu if takes => apply(cpu::Depthwise { shape, act }, [x, weight, bias]),
        Backend::Cuda if takes => apply_cuda(cuda::Depthwise { shape, act }, [x, weight, bias]),
        _ => fall_back(|| reference::depthwise_conv2d(x, weight, bias, act, spec)),
    }
}
