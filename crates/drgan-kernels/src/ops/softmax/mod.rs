//! Softmax along an axis, and its logarithm.
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use candle_core::{Result, Tensor, bail};

/// `e^x / sum e^x` along axis `dim`.
///
/// # Shapes
/// Any with that axis; the result as `x`.
///
/// # Errors
/// An axis that `x` has not.
pub fn softmax(x: &Tensor, dim: usize) -> Result<Tensor> {
    run(x, dim, false)
}

/// `x - ln(sum e^x)` along axis `dim`: the logarithm of the softmax, finite where that is too small to be told from 0.
///
/// # Shapes
/// Any with that axis; the result as `x`.
///
/// # Errors
/// An axis that `x` has not.
pub fn log_softmax(x: &Tensor, dim: usize) -> Result<Tensor> {
    run(x, dim, true)
}

fn run(x: &Tensor, dim: usize, logarithm: bool) -> Result<Tensor> {
    if dim >= x.rank() {
        bail!("softmax: x: expected an axis {dim}, got {:?}", x.dims())
    }
    let reference = || if logarithm { reference::log_softmax(x, dim) } else { reference::softmax(x, dim) };
    match backend("softmax", &[x])? {
        Backend::Cuda if x.elem_count() > 0 => apply_cuda(cuda::Softmax::new(x, dim, logarithm), [x]),
        // Losses take it of little.
        Backend::Cpu => reference(),
        _ => fall_back(reference),
    }
}
