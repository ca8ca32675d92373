//! Pooling in candle's own operations.
use super::window::Window;
use crate::ops::conv2d::reference::{every_nth, patches};
use crate::ops::conv2d::shape::{Conv2dSpec, expect_values};
use candle_core::{Result, Tensor, bail};

/// Reference implementation of [`max_pool2d`](crate::max_pool2d).
///
/// # Errors
/// Those of [`max_pool2d`](crate::max_pool2d).
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let (oh, ow) = Window::new(x, kernel, stride, 0)?.out;
    let mut best: Option<Tensor> = None;
    for (i, j) in (0..kernel).flat_map(|i| (0..kernel).map(move |j| (i, j))) {
        let shifted = every_nth(&every_nth(x, 2, i, stride, oh)?, 3, j, stride, ow)?;
        best = Some(match best {
            // NaN differs from itself, and is taken. Of equal pixels the first stays.
            Some(best) => (shifted.gt(&best)? + shifted.ne(&shifted)?)?.where_cond(&shifted, &best)?,
            None => shifted,
        });
    }
    match best {
        Some(best) => Ok(best),
        None => bail!("max_pool2d: kernel is 0"),
    }
}

/// Reference implementation of [`avg_pool2d`](crate::avg_pool2d).
///
/// # Errors
/// Those of [`avg_pool2d`](crate::avg_pool2d).
pub fn avg_pool2d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let Window { maps: (b, c), out: (oh, ow), .. } = Window::new(x, kernel, stride, padding)?;
    expect_values("avg_pool2d: patches", &[b, c, kernel, kernel, oh, ow])?;
    let spec = Conv2dSpec::new(stride, padding);
    patches(x, (kernel, kernel), spec, (oh, ow))?.mean(2)?.reshape((b, c, oh, ow))
}

/// Reference implementation of [`mean_pixels`](crate::mean_pixels).
///
/// # Errors
/// Those of [`mean_pixels`](crate::mean_pixels).
pub fn mean_pixels(x: &Tensor) -> Result<Tensor> {
    x.mean((2, 3))
}
