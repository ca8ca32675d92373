use crate::conv2d::{Conv2dSpec, every_nth, patches};
use candle_core::{Result, Tensor, bail};

/// Max pooling without padding.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; result: `(B, C, (H - kernel) / stride + 1, (W - kernel) / stride + 1)`.
///
/// # Errors
/// The window does not fit.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    reference_max(x, kernel, stride)
}

/// Average pooling; zeros of the padding count as pixels (PyTorch's `count_include_pad`).
///
/// # Shapes
/// `x`: `(B, C, H, W)`; result: `(B, C, (H + 2 padding - kernel) / stride + 1, ...)`.
///
/// # Errors
/// The window does not fit.
pub fn avg_pool2d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    reference_avg(x, kernel, stride, padding)
}

/// Plain-tensor form of [`max_pool2d`].
pub fn reference_max(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let (oh, ow) = Conv2dSpec::new(stride, 0).output_size((h, w), (kernel, kernel))?;
    let mut best: Option<Tensor> = None;
    for (i, j) in (0..kernel).flat_map(|i| (0..kernel).map(move |j| (i, j))) {
        let shifted = every_nth(&every_nth(x, 2, i, stride, oh)?, 3, j, stride, ow)?;
        best = Some(match best {
            Some(b) => b.maximum(&shifted)?,
            None => shifted,
        });
    }
    match best {
        Some(b) => Ok(b),
        None => bail!("max_pool2d: kernel is 0"),
    }
}

/// Plain-tensor form of [`avg_pool2d`].
pub fn reference_avg(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let spec = Conv2dSpec::new(stride, padding);
    let (oh, ow) = spec.output_size((h, w), (kernel, kernel))?;
    patches(x, (kernel, kernel), spec, (oh, ow))?.mean(2)?.reshape((b, c, oh, ow))
}
