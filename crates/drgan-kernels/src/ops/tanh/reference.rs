//! The hyperbolic tangent in candle's own operations.
use candle_core::{Result, Tensor};

/// Reference implementation of [`tanh`](crate::tanh).
///
/// # Errors
/// Those of [`tanh`](crate::tanh).
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    x.tanh()
}
