//! The linear map in candle's own operations.
use candle_core::{Result, Tensor};

/// Reference implementation of [`linear`](crate::linear).
///
/// # Errors
/// Those of [`linear`](crate::linear).
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.matmul(&weight.t()?)
}
