//! The gate in candle's own operations.
use candle_core::{Result, Tensor};

/// Reference implementation of [`gate`](crate::gate).
///
/// # Errors
/// Those of [`gate`](crate::gate).
pub fn gate(x: &Tensor, logits: &Tensor, scale: f64) -> Result<Tensor> {
    x * candle_nn::ops::sigmoid(&(logits * scale)?)?
}
