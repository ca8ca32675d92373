//! Mean and variance in candle's own operations.
use candle_core::{Result, Tensor};

/// Reference implementation of [`moments`](crate::moments).
///
/// # Errors
/// Those of [`moments`](crate::moments).
pub fn moments(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let flat = x.transpose(0, 1)?.flatten_from(1)?.contiguous()?; // (C, B ...)
    let mean = flat.mean_keepdim(1)?;
    let var = flat.broadcast_sub(&mean)?.sqr()?.mean(1)?;
    Ok((mean.squeeze(1)?, var))
}
