//! Kullback-Leibler divergence of a diagonal Gaussian from the standard normal one.
use candle_core::Tensor;
use drgan_tensor::{Gaussian, Result, expect_shape, ops};

/// `-1/2 mean(1 + logvar - mu^2 - e^logvar)` over batch and dimensions; at least 0 (docs/divergences.md, KL).
///
/// # Shapes
/// Both halves `(B, D)`; the result is a scalar.
///
/// # Errors
/// The shapes of the halves differ.
pub fn kl(g: &Gaussian) -> Result<Tensor> {
    expect_shape("kl: mu", &g.mu, &[None, None], "(B, D)")?;
    let (b, d) = g.mu.dims2()?;
    expect_shape("kl: logvar", &g.logvar, &[Some(b), Some(d)], "(B, D), as mu")?;
    Ok(ops::gaussian_kl(&g.mu, &g.logvar)?)
}
