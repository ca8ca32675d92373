//! The inner product of two tensors.
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use candle_core::{Result, Tensor, bail};

/// `<x, y>`, the sum of the products of their values.
///
/// # Shapes
/// `x` and `y` of one shape, which may be any with values; the result is a scalar.
///
/// # Errors
/// Shapes that differ, tensors without values.
pub fn inner_product(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if x.dims() != y.dims() || x.elem_count() == 0 {
        let (x, y) = (x.dims(), y.dims());
        bail!("inner_product: x, y: expected one shape that is not empty, got {x:?} and {y:?}")
    }
    match backend("inner_product", &[x, y])? {
        Backend::Cuda => apply_cuda(cuda::InnerProduct, [x, y]),
        // Of images, which are small beside the maps that they were made from.
        Backend::Cpu => reference::inner_product(x, y),
        _ => fall_back(|| reference::inner_product(x, y)),
    }
}
