//! The mean absolute difference in candle's own operations.
use candle_core::{Result, Tensor};

/// Reference implementation of [`mean_absolute_difference`](crate::mean_absolute_difference): `|x|` as `x sign(x)`, since the
/// derivative of candle's own is 1 at 0.
///
/// # Errors
/// Those of [`mean_absolute_difference`](crate::mean_absolute_difference).
pub fn mean_absolute_difference(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let difference = (a - b)?;
    (&difference * difference.detach().sign()?)?.mean_all()
}
