//! Batch normalization with its activation, by the batch's own statistics or by given ones.
pub(crate) mod cpu;
pub(crate) mod cuda;
pub(crate) mod normalized;
pub(crate) mod reference;
mod running;

pub use normalized::Normalized;
pub use running::update_running_statistics;

use crate::cuda::op::{apply as apply_cuda, apply_saved as apply_saved_cuda};
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::{apply, apply_saved};
use crate::ops::activation::kind::Activation;
use candle_core::{Result, Tensor, bail};
use cpu::{BatchNorm, ScaleShift};
use normalized::normalized;

/// Batch normalization by the batch's own statistics, then an activation, then perhaps a residual:
/// `act(weight (x - mean) / sqrt(var + eps) + bias) + residual`, statistics over every axis but 1. Gradients flow through
/// the statistics.
///
/// # Shapes
/// `x`: `(B, C)` or `(B, C, H, W)`; `weight`, `bias`: `(C,)`; result: see [`Activation`]; `residual` as the result.
///
/// # Errors
/// A channel with fewer than two values (its variance says nothing), or shapes that do not fit.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use drgan_kernels::{Activation, batch_norm};
///
/// let x = Tensor::new(&[[1f32, 10.], [3., 30.]], &Device::Cpu)?;
/// let (weight, bias) = (Tensor::ones(2, DType::F32, &Device::Cpu)?, Tensor::zeros(2, DType::F32, &Device::Cpu)?);
/// let normalized = batch_norm(&x, &weight, &bias, 0., Activation::Relu, None)?;
/// assert_eq!(normalized.mean.to_vec1::<f32>()?, [2., 20.]);
/// assert_eq!(normalized.y.to_vec2::<f32>()?, [[0., 0.], [1., 1.]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    act: Activation,
    residual: Option<&Tensor>,
) -> Result<Normalized> {
    check("batch_norm", x, weight, bias, act)?;
    let n = x.dim(0)? * x.dims()[2..].iter().product::<usize>();
    if n < 2 {
        bail!(
            "batch_norm: x: {:?} has too few values per channel, {n}; training needs at least two",
            x.dims()
        )
    }
    let out = act.shape_out(x.dims());
    if let Some(residual) = residual
        && residual.shape() != &out
    {
        bail!("batch_norm: residual: expected {:?} as the result, got {:?}", out.dims(), residual.dims())
    }
    let inputs: Vec<&Tensor> = [x, weight, bias].into_iter().chain(residual).collect();
    match backend("batch_norm", &inputs)? {
        Backend::Cpu => {
            let op = BatchNorm { eps, act, dims: x.dims().to_vec() };
            let scale_bias = Tensor::stack(&[weight, bias], 0)?;
            let (y, statistics) = match residual {
                Some(residual) => apply_saved(op, [x, &scale_bias, residual])?,
                None => apply_saved(op, [x, &scale_bias])?,
            };
            normalized(y, statistics.get())
        }
        Backend::Cuda => {
            let op = cuda::BatchNorm { eps, act, dims: x.dims().to_vec() };
            let (y, statistics) = match residual {
                Some(residual) => {
                    let (node, scale_bias) = cuda::ScaleBias::node(weight, bias)?;
                    apply_saved_cuda(cuda::WithResidual(op, scale_bias), [x, &node, residual])?
                }
                None => apply_saved_cuda(op, [x, weight, bias])?,
            };
            cuda::normalized(y, statistics.get())
        }
        _ => fall_back(|| reference::batch_norm(x, weight, bias, eps, act, residual)),
    }
}

/// Refuses parameters that are not one value per channel of `x`.
fn check(operation: &str, x: &Tensor, scale: &Tensor, shift: &Tensor, act: Activation) -> Result<()> {
    if x.rank() < 2 {
        bail!("{operation}: x: expected (B, C, ...), got {:?}", x.dims())
    }
    let c = x.dim(1)?;
    if scale.dims() != [c] || shift.dims() != [c] {
        bail!("{operation}: expected ({c},) for {c} channels, got {:?} and {:?}", scale.dims(), shift.dims())
    }
    act.check_channels(&format!("{operation}: x"), c)
}

/// `act(scale x + shift)` with a scale and a shift per channel: batch normalization by running statistics.
///
/// # Shapes
/// `x`: `(B, C, ...)`; `scale`, `shift`: `(C,)`; result: see [`Activation`].
///
/// # Errors
/// Shapes that do not fit.
pub fn scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor, act: Activation) -> Result<Tensor> {
    check("scale_shift", x, scale, shift, act)?;
    match backend("scale_shift", &[x, scale, shift])? {
        Backend::Cpu => apply(ScaleShift { act, dims: x.dims().to_vec() }, [x, scale, shift]),
        Backend::Cuda => apply_cuda(cuda::ScaleShift { act, dims: x.dims().to_vec() }, [x, scale, shift]),
        _ => fall_back(|| reference::scale_shift(x, scale, shift, act)),
    }
}
