//! The linear map in candle's own operations.
use candle_core::{Result, Tensor};

/// Reference implementation of [`linear`](crate::linear).
///
/// # Errors
/// As there.
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.matmul(&weight.t()?)
}
