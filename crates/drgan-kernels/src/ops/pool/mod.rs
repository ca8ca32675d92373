//! Max and average pooling.
mod cpu;
mod cuda;
pub(crate) mod reference;
mod window;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::apply;
use candle_core::{Result, Tensor, bail};
use window::Window;

/// Max pooling without padding; the maximum of a window with NaN is NaN. Where several pixels of a window are the largest, the first has the gradient.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; result: `(B, C, (H - kernel) / stride + 1, (W - kernel) / stride + 1)`.
///
/// # Errors
/// The window does not fit.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let window = Window::new(x, kernel, stride, 0)?;
    match backend("max_pool2d", &[x])? {
        Backend::Cpu => apply(cpu::Max(window), [x]),
        Backend::Cuda => apply_cuda(cuda::Max(window), [x]),
        _ => fall_back(|| reference::max_pool2d(x, kernel, stride)),
    }
}

/// Average pooling; zeros of the padding count as pixels (PyTorch's `count_include_pad`).
///
/// # Shapes
/// `x`: `(B, C, H, W)`; result: `(B, C, (H + 2 padding - kernel) / stride + 1, ...)`.
///
/// # Errors
/// The window does not fit.
pub fn avg_pool2d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let window = Window::new(x, kernel, stride, padding)?;
    match backend("avg_pool2d", &[x])? {
        Backend::Cpu => apply(cpu::Average(window), [x]),
        Backend::Cuda => apply_cuda(cuda::Average(window), [x]),
        _ => fall_back(|| reference::avg_pool2d(x, kernel, stride, padding)),
    }
}

/// The mean of each channel over the pixels of each image.
///
/// # Shapes
/// `x`: `(B, C, H, W)`, not empty; result: `(B, C)`.
///
/// # Errors
/// Another rank, no values.
pub fn mean_pixels(x: &Tensor) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    if x.elem_count() == 0 {
        bail!("mean_pixels: x: expected (B, C, H, W) with values, got {:?}", x.dims())
    }
    match backend("mean_pixels", &[x])? {
        Backend::Cuda => apply_cuda(cuda::Mean { b, c, plane: h * w }, [x]),
        // Deepest maps are small.
        Backend::Cpu => reference::mean_pixels(x),
        _ => fall_back(|| reference::mean_pixels(x)),
    }
}
