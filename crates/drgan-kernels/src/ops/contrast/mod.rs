//! How much nearer one map's channel statistics are to a third map's than another's.
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::ops::moments;
use candle_core::{Result, Tensor, bail};

/// `SP(|m(near) - m(to)| - |m(far) - m(to)|) + SP(|s(near) - s(to)| - |s(far) - s(to)|)`: small where the statistics of `near`
/// are nearer to those of `to` than those of `far` are. SP is the softplus, m and s are the vectors of each channel's mean
/// and standard deviation `sqrt(var + 1e-8)` over every axis but 1, `|a - b|` is `sqrt(sum (a - b)^2 + 1e-12)`.
///
/// # Shapes
/// Each `(B, C, ...)`, not empty, C alike in all; the result is a scalar.
///
/// # Errors
/// A tensor of another rank, with other channels or without values.
pub fn moments_contrast(near: &Tensor, far: &Tensor, to: &Tensor) -> Result<Tensor> {
    let channels = near.dims().get(1);
    for (name, x) in [("near", near), ("far", far), ("to", to)] {
        if x.rank() < 2 || x.elem_count() == 0 || x.dims().get(1) != channels {
            bail!("moments_contrast: {name}: expected (B, C, ...), C alike in all, got {:?}", x.dims())
        }
    }
    match backend("moments_contrast", &[near, far, to])? {
        Backend::Cuda => {
            let of = |x: &Tensor| apply_cuda(moments::cuda::Moments(x.dims().to_vec()), [x]); // (2, C)
            apply_cuda(cuda::Contrast, [&of(near)?, &of(far)?, &of(to)?])
        }
        // After the moments there is a vector per map: kernels would gain nothing.
        Backend::Cpu => reference::contrast(moments::moments, [near, far, to]),
        _ => fall_back(|| reference::moments_contrast(near, far, to)),
    }
}
