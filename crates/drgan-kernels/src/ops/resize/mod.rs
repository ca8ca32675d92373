//! Bilinear resizing, and shrinking by whole factors.
mod between;
mod cpu;
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::apply;
use crate::ops::pool::avg_pool2d;
use between::{between, check_multiple, check_sides};
use candle_core::{Result, Tensor};

/// Bilinear resize without antialiasing, as PyTorch's `interpolate`.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; result: `(B, C, h, w)`.
///
/// # Errors
/// A side of 0, or a result too large to compute.
pub fn resize_bilinear(x: &Tensor, h: usize, w: usize, align_corners: bool) -> Result<Tensor> {
    let dims @ (_, _, hi, wi) = x.dims4()?;
    check_sides(x, h, w)?;
    match backend("resize_bilinear", &[x])? {
        Backend::Cpu => {
            let (rows, cols) = (between(hi, h, align_corners), between(wi, w, align_corners));
            apply(cpu::Bilinear { dims, rows, cols }, [x])
        }
        Backend::Cuda => apply_cuda(cuda::Bilinear { dims, out: (h, w), align_corners }, [x]),
        _ => fall_back(|| reference::resize_bilinear(x, h, w, align_corners)),
    }
}

/// Shrinks by whole factors, each output the mean of its block of inputs: average pooling where both factors are one.
///
/// # Shapes
/// `x`: `(B, C, H, W)` with `H` a multiple of `h` and `W` of `w`; result: `(B, C, h, w)`.
///
/// # Errors
/// Sides that do not divide.
pub fn resize_area(x: &Tensor, h: usize, w: usize) -> Result<Tensor> {
    let (b, c, hi, wi) = x.dims4()?;
    check_multiple(x, h, w)?;
    if (hi, wi) == (h, w) {
        return Ok(x.clone());
    }
    if hi / h == wi / w {
        return avg_pool2d(x, hi / h, hi / h, 0);
    }
    match backend("resize_area", &[x])? {
        Backend::Cuda => apply_cuda(cuda::Area { maps: (b, c), block: (hi / h, wi / w), out: (h, w) }, [x]),
        _ => fall_back(|| reference::resize_area(x, h, w)),
    }
}
