//! The linear map of a batch of vectors.
pub(crate) mod cpu;
mod cuda;
pub(crate) mod reference;

use crate::cuda::op as on_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::apply;
use crate::ops::conv2d::shape::expect_values;
use candle_core::{Result, Tensor, bail};

/// The linear map `x W^T`, without a bias.
///
/// # Shapes
/// `x`: `(B, in)`; `weight`, W: `(out, in)`; result: `(B, out)`.
///
/// # Errors
/// Shapes that do not fit.
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let ((b, inp), (out, columns)) = (x.dims2()?, weight.dims2()?);
    if inp != columns {
        bail!("linear: weight: expected (out, {inp}), got {:?}", weight.dims())
    }
    expect_values("linear: result", &[b, out])?;
    match backend("linear", &[x, weight])? {
        Backend::Cpu if x.elem_count() > 0 && weight.elem_count() > 0 => {
            apply(cpu::Linear((b, inp, out)), [x, weight])
        }
        Backend::Cuda if x.elem_count() > 0 && weight.elem_count() > 0 => {
            on_cuda::apply(cuda::Linear((b, inp, out)), [x, weight])
        }
        _ => fall_back(|| reference::linear(x, weight)),
    }
}
