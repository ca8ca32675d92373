//! A convolution and the batch normalization after it, as one operation.
mod cpu;
mod cuda;
pub(crate) mod reference;
mod spec;

pub use spec::ConvNormSpec;

use crate::cuda::op::apply_saved as apply_saved_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::apply_saved;
use crate::ops::batch_norm::cpu::BatchNorm;
use crate::ops::batch_norm::cuda as on_cuda;
use crate::ops::batch_norm::normalized::{Normalized, normalized};
use crate::ops::conv2d::shape::{Conv2dSpec, ConvShape};
use candle_core::{Result, Tensor, bail};

/// [`batch_norm`](crate::batch_norm) of a convolution without a bias, as one operation: no gradient is ever kept of the map
/// between them.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `weight`: `(O, C, kh, kw)`, 3x3 if upsampled; `norm`, the normalization's weight and bias: `(O,)`
/// each.
///
/// # Errors
/// As [`conv2d`](crate::conv2d), [`up_conv2d`](crate::up_conv2d) and [`batch_norm`](crate::batch_norm).
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use drgan_kernels::{Activation, Conv2dSpec, ConvNormSpec, conv2d_batch_norm};
///
/// let x = Tensor::randn(0f32, 1., (2, 3, 8, 8), &Device::Cpu)?;
/// let weight = Tensor::randn(0f32, 1., (8, 3, 3, 3), &Device::Cpu)?;
/// let (one, zero) = (Tensor::ones(8, DType::F32, &Device::Cpu)?, Tensor::zeros(8, DType::F32, &Device::Cpu)?);
/// let spec = ConvNormSpec::new(Conv2dSpec::new(1, 1), Activation::Glu).with_upsample(true);
/// assert_eq!(conv2d_batch_norm(&x, &weight, (&one, &zero), spec)?.y.dims(), [2, 4, 16, 16]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn conv2d_batch_norm(
    x: &Tensor,
    weight: &Tensor,
    norm: (&Tensor, &Tensor),
    spec: ConvNormSpec,
) -> Result<Normalized> {
    let conv = if spec.upsample { Conv2dSpec::new(1, 1) } else { spec.conv };
    let shape = ConvShape::new(x.shape(), weight.shape(), conv, spec.upsample)?;
    let ConvShape { b, o, oh, ow, .. } = shape;
    if spec.upsample && (shape.kh, shape.kw) != (3, 3) {
        bail!("conv2d_batch_norm: weight: expected (O, C, 3, 3) after upsampling, got {:?}", weight.dims())
    }
    if norm.0.dims() != [o] || norm.1.dims() != [o] {
        bail!(
            "conv2d_batch_norm: norm: expected ({o},) for {o} channels, got {:?} and {:?}",
            norm.0.dims(),
            norm.1.dims()
        )
    }
    spec.act.check_channels("conv2d_batch_norm: weight", o)?;
    if b * oh * ow < 2 {
        bail!("conv2d_batch_norm: x: {:?} gives a channel one value; training needs at least two", x.dims())
    }
    match backend("conv2d_batch_norm", &[x, weight, norm.0, norm.1])? {
        Backend::Cpu if x.elem_count() > 0 => {
            let norm_op = BatchNorm { eps: spec.eps, act: spec.act, dims: vec![b, o, oh, ow] };
            let scale_bias = Tensor::stack(&[norm.0, norm.1], 0)?;
            let op = cpu::ConvNorm { shape, norm: norm_op };
            let (y, saved) = apply_saved(op, [x, weight, &scale_bias])?;
            normalized(y, saved.get().map(|saved| &saved.statistics))
        }
        Backend::Cuda if x.elem_count() > 0 => {
            let norm_op = on_cuda::BatchNorm { eps: spec.eps, act: spec.act, dims: vec![b, o, oh, ow] };
            let (node, scale_bias) = on_cuda::ScaleBias::node(norm.0, norm.1)?;
            let op = cuda::ConvNorm { shape, norm: norm_op, scale_bias };
            let (y, saved) = apply_saved_cuda(op, [x, weight, &node])?;
            on_cuda::normalized(y, saved.get().map(|saved| &saved.statistics))
        }
        _ => fall_back(|| reference::conv2d_batch_norm(x, weight, norm, spec)),
    }
}
