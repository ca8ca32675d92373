//! The hyperbolic tangent.
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use candle_core::{Result, Tensor};

/// `tanh(x)`, whose gradient is one node's.
///
/// # Shapes
/// Any; the result as `x`.
///
/// # Errors
/// A type that is not a float.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    match backend("tanh", &[x])? {
        Backend::Cuda if x.elem_count() > 0 => apply_cuda(cuda::Tanh(x.shape().clone()), [x]),
        // An image's values are few beside those of the maps before it.
        Backend::Cpu => reference::tanh(x),
        _ => fall_back(|| reference::tanh(x)),
    }
}
