//! The contrast of statistics in candle's own operations.
use crate::ops::moments::reference::moments;
use crate::ops::softplus::reference::softplus;
use candle_core::{Result, Tensor};

/// Reference implementation of [`moments_contrast`](crate::moments_contrast).
///
/// # Errors
/// Those of [`moments_contrast`](crate::moments_contrast).
pub fn moments_contrast(near: &Tensor, far: &Tensor, to: &Tensor) -> Result<Tensor> {
    contrast(moments, [near, far, to])
}

/// The contrast of maps by what computes mean and variance of each channel.
pub(super) fn contrast(
    moments: impl Fn(&Tensor) -> Result<(Tensor, Tensor)>,
    [near, far, to]: [&Tensor; 3],
) -> Result<Tensor> {
    let statistics = |x: &Tensor| {
        let (mean, var) = moments(x)?;
        Ok::<_, candle_core::Error>((mean, (var + 1e-8)?.sqrt()?))
    };
    let (near_mean, near_deviation) = statistics(near)?;
    let (far_mean, far_deviation) = statistics(far)?;
    let (mean, deviation) = statistics(to)?;
    let of_means = softplus(&(distance(&near_mean, &mean)? - distance(&far_mean, &mean)?)?)?;
    let nearer = (distance(&near_deviation, &deviation)? - distance(&far_deviation, &deviation)?)?;
    of_means + softplus(&nearer)?
}

/// `sqrt(sum (a - b)^2 + 1e-12)`.
fn distance(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    ((a - b)?.sqr()?.sum_all()? + 1e-12)?.sqrt()
}
