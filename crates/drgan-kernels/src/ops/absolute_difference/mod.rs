//! The mean absolute difference of two tensors.
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use candle_core::{Result, Tensor, bail};

/// `mean|a - b|`, with gradients to both; the derivative where `a = b` is 0.
///
/// # Shapes
/// `a` and `b` of one shape, which may be any with values; the result is a scalar.
///
/// # Errors
/// Shapes that differ, tensors without values.
pub fn mean_absolute_difference(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() || a.elem_count() == 0 {
        let (a, b) = (a.dims(), b.dims());
        bail!("mean_absolute_difference: a, b: expected one shape that is not empty, got {a:?} and {b:?}")
    }
    match backend("mean_absolute_difference", &[a, b])? {
        Backend::Cuda => apply_cuda(cuda::AbsoluteDifference, [a, b]),
        // Images are small beside the maps that they were made from: a kernel would gain little there.
        Backend::Cpu => reference::mean_absolute_difference(a, b),
        _ => fall_back(|| reference::mean_absolute_difference(a, b)),
    }
}
