//! The inner product in candle's own operations.
use candle_core::{Result, Tensor};

/// Reference implementation of [`inner_product`](crate::inner_product).
///
/// # Errors
/// Those of [`inner_product`](crate::inner_product).
pub fn inner_product(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    (x * y)?.sum_all()
}
