//! Softmax in candle's own operations.
use candle_core::{Result, Tensor};
use candle_nn::ops;

/// Reference implementation of [`softmax`](crate::softmax).
///
/// # Errors
/// Those of [`softmax`](crate::softmax).
pub fn softmax(x: &Tensor, dim: usize) -> Result<Tensor> {
    ops::softmax(x, dim)
}

/// Reference implementation of [`log_softmax`](crate::log_softmax).
///
/// # Errors
/// Those of [`log_softmax`](crate::log_softmax).
pub fn log_softmax(x: &Tensor, dim: usize) -> Result<Tensor> {
    ops::log_softmax(x, dim)
}
