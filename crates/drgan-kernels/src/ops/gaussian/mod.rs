//! Gaussians with a diagonal covariance: their halves in one tensor, samples, the divergence from the standard normal one.
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use candle_core::{Result, Tensor, bail};

/// The first and the second half of each row.
///
/// # Shapes
/// `x`: `(B, 2 D)`; both results `(B, D)`.
///
/// # Errors
/// Another rank, an odd number of columns.
pub fn halves(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (rows, columns) = x.dims2()?;
    if columns % 2 != 0 {
        bail!("halves: x: expected (B, 2 D), got {:?}", x.dims())
    }
    let half = |second: bool| apply_cuda(cuda::Half { rows, columns: columns / 2, second }, [x]);
    match backend("halves", &[x])? {
        Backend::Cuda if x.elem_count() > 0 => Ok((half(false)?, half(true)?)),
        // Views of the rows.
        Backend::Cpu => reference::halves(x),
        _ => fall_back(|| reference::halves(x)),
    }
}

/// `mu + eps exp(logvar / 2)`: a sample of the Gaussians by the reparametrization trick.
///
/// # Shapes
/// Mean, logarithm of the variance and standard normal `eps` of one shape; so is the result.
///
/// # Errors
/// Shapes that differ.
pub fn gaussian_sample(mu: &Tensor, logvar: &Tensor, eps: &Tensor) -> Result<Tensor> {
    expect_alike("gaussian_sample", mu, &[("logvar", logvar), ("eps", eps)])?;
    match backend("gaussian_sample", &[mu, logvar, eps])? {
        Backend::Cuda if mu.elem_count() > 0 => {
            apply_cuda(cuda::Sample(mu.shape().clone()), [mu, logvar, eps])
        }
        // Latents are short.
        Backend::Cpu => reference::gaussian_sample(mu, logvar, eps),
        _ => fall_back(|| reference::gaussian_sample(mu, logvar, eps)),
    }
}

/// `-1/2 mean(1 + logvar - mu^2 - e^logvar)`, the Kullback-Leibler divergence of the Gaussians from the standard normal one
/// per dimension; at least 0.
///
/// # Shapes
/// Mean and logarithm of the variance of one shape; the result is a scalar.
///
/// # Errors
/// Shapes that differ, no values.
pub fn gaussian_kl(mu: &Tensor, logvar: &Tensor) -> Result<Tensor> {
    expect_alike("gaussian_kl", mu, &[("logvar", logvar)])?;
    if mu.elem_count() == 0 {
        bail!("gaussian_kl: mu: expected values, got {:?}", mu.dims())
    }
    match backend("gaussian_kl", &[mu, logvar])? {
        Backend::Cuda => apply_cuda(cuda::Divergence, [mu, logvar]),
        // Latents are short.
        Backend::Cpu => reference::gaussian_kl(mu, logvar),
        _ => fall_back(|| reference::gaussian_kl(mu, logvar)),
    }
}

fn expect_alike(operation: &str, mu: &Tensor, others: &[(&str, &Tensor)]) -> Result<()> {
    match others.iter().find(|(_, x)| x.dims() != mu.dims()) {
        Some((name, x)) => bail!("{operation}: {name}: expected {:?} as mu, got {:?}", mu.dims(), x.dims()),
        None => Ok(()),
    }
}
