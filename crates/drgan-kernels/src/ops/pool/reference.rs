//! Pooling in candle's own operations.
use crate::ops::conv2d::reference::{every_nth, patches};
use crate::ops::conv2d::shape::Conv2dSpec;
use candle_core::{Result, Tensor, bail};

/// Reference implementation of [`max_pool2d`](crate::max_pool2d).
///
/// # Errors
/// Those of [`max_pool2d`](crate::max_pool2d).
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let (oh, ow) = Conv2dSpec::new(stride, 0).output_size((h, w), (kernel, kernel))?;
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
    let (b, c, h, w) = x.dims4()?;
    let spec = Conv2dSpec::new(stride, padding);
    let (oh, ow) = spec.output_size((h, w), (kernel, kernel))?;
    patches(x, (kernel, kernel), spec, (oh, ow))?.mean(2)?.reshape((b, c, oh, ow))
}
