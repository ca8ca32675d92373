//! Scalar functions whose values and gradients are right for every input, however large.
use candle_core::{Result, Tensor};

/// `ln(1 + e^x)` as `m + ln(e^(x - m) + e^-m)`, `m = max(x, 0)`. The value does not depend on `m`, so `m` is a
/// constant of the graph and the gradient is the sigmoid everywhere, 1/2 at 0.
pub(crate) fn softplus(x: &Tensor) -> Result<Tensor> {
    let m = x.detach().relu()?;
    (x - &m)?.exp()?.add(&m.neg()?.exp()?)?.log()? + m
}

/// `|x|` with derivative 0 at 0 (candle's own has 1 there).
pub(crate) fn abs(x: &Tensor) -> Result<Tensor> {
    x * x.detach().sign()?
}
