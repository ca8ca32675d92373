//! Mean and variance of each channel.
pub(crate) mod cpu;
pub(crate) mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::apply;
use candle_core::{Result, Tensor, bail};

/// Mean and population variance of each channel, over every axis but 1.
///
/// # Shapes
/// `x`: `(B, C, ...)`, not empty; both results `(C,)`.
///
/// # Errors
/// A tensor of another rank or without values.
pub fn moments(x: &Tensor) -> Result<(Tensor, Tensor)> {
    if x.rank() < 2 || x.elem_count() == 0 {
        bail!("moments: x: expected (B, C, ...) with values, got {:?}", x.dims())
    }
    let both = match backend("moments", &[x])? {
        Backend::Cpu => apply(cpu::Moments(x.dims().to_vec()), [x])?,
        Backend::Cuda => apply_cuda(cuda::Moments(x.dims().to_vec()), [x])?,
        _ => return fall_back(|| reference::moments(x)),
    }; // (2, C)
    Ok((both.get(0)?, both.get(1)?))
}
