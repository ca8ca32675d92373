//! Gaussians in candle's own operations.
use candle_core::{Result, Tensor};

/// Reference implementation of [`halves`](crate::halves).
///
/// # Errors
/// Those of [`halves`](crate::halves).
pub fn halves(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let columns = x.dim(1)? / 2;
    Ok((x.narrow(1, 0, columns)?, x.narrow(1, columns, columns)?))
}

/// Reference implementation of [`gaussian_sample`](crate::gaussian_sample).
///
/// # Errors
/// Those of [`gaussian_sample`](crate::gaussian_sample).
pub fn gaussian_sample(mu: &Tensor, logvar: &Tensor, eps: &Tensor) -> Result<Tensor> {
    mu + (eps * (logvar * 0.5)?.exp()?)?
}

/// Reference implementation of [`gaussian_kl`](crate::gaussian_kl).
///
/// # Errors
/// Those of [`gaussian_kl`](crate::gaussian_kl).
pub fn gaussian_kl(mu: &Tensor, logvar: &Tensor) -> Result<Tensor> {
    let inner = ((logvar + 1.)? - mu.sqr()?)?.sub(&logvar.exp()?)?;
    inner.mean_all()? * -0.5
}
