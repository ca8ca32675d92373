//! Softplus and its means in candle's own operations.
use candle_core::{Result, Tensor, bail};

/// `ln(1 + e^x)` as `m + ln(e^(x - m) + e^-m)`, `m = max(x, 0)`. The value does not depend on `m`, so `m` is a constant of the
/// graph and the gradient is the sigmoid everywhere.
pub(crate) fn softplus(x: &Tensor) -> Result<Tensor> {
    let m = x.detach().relu()?;
    (x - &m)?.exp()?.add(&m.neg()?.exp()?)?.log()? + m
}

/// Reference implementation of [`softplus_means`](crate::softplus_means).
///
/// # Errors
/// Those of [`softplus_means`](crate::softplus_means).
pub fn softplus_means(xs: &[&Tensor], negated: bool, divisor: f64) -> Result<Tensor> {
    let mean = |x: &&Tensor| if negated { softplus(&x.neg()?)?.mean_all() } else { softplus(x)?.mean_all() };
    let [first, rest @ ..] = xs else { bail!("softplus_means: xs: there are no tensors") };
    let sum = rest.iter().try_fold(mean(first)?, |sum, x| sum + mean(x)?)?;
    if divisor == 1. { Ok(sum) } else { sum / divisor }
}
