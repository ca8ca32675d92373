//! A scalar function whose gradient is right for every input.
use candle_core::{Result, Tensor};

/// `|x|` with derivative 0 at 0 (candle's own has 1 there).
pub(crate) fn abs(x: &Tensor) -> Result<Tensor> {
    x * x.detach().sign()?
}
