//! Softplus in candle's own operations.
use candle_core::{Result, Tensor};

/// Reference implementation of [`softplus`](crate::softplus), as `m + ln(e^(x - m) + e^-m)`, `m = max(x, 0)`. The value
/// does not depend on `m`, so `m` is a constant of the graph and the gradient is the sigmoid everywhere.
///
/// # Errors
/// Those of [`softplus`](crate::softplus).
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    let m = x.detach().relu()?;
    (x - &m)?.exp()?.add(&m.neg()?.exp()?)?.log()? + m
}
