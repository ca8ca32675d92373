//! Power iteration and spectral normalization in candle's own operations.
use candle_core::{Result, Tensor, Var};

/// Reference implementation of [`power_iteration`](crate::power_iteration), of the matrix `(O, K)`.
///
/// # Errors
/// Those of [`power_iteration`](crate::power_iteration).
pub fn power_iteration(w: &Tensor, u: &Tensor) -> Result<(Tensor, Tensor)> {
    let normalize = |x: Tensor| x.broadcast_div(&(x.sqr()?.sum_all()?.sqrt()? + 1e-12)?);
    let v = normalize(w.t()?.matmul(&u.unsqueeze(1)?)?.squeeze(1)?)?;
    let u = normalize(w.matmul(&v.unsqueeze(1)?)?.squeeze(1)?)?;
    Ok((u, v))
}

/// Reference implementation of [`spectral_norm`](crate::spectral_norm).
///
/// # Errors
/// Those of [`spectral_norm`](crate::spectral_norm).
pub fn spectral_norm(weight: &Tensor, u: &Tensor, v: &Tensor) -> Result<Tensor> {
    let w = weight.reshape((weight.dim(0)?, ()))?;
    let sigma = (w.matmul(&v.unsqueeze(1)?)?.squeeze(1)? * u)?.sum_all()?;
    weight.broadcast_div(&sigma)
}

/// Reference implementation of [`spectral_norm_step`](crate::spectral_norm_step).
///
/// # Errors
/// Those of [`spectral_norm_step`](crate::spectral_norm_step).
pub fn spectral_norm_step(weight: &Tensor, u: &Var, v: &Var) -> Result<Tensor> {
    let w = weight.detach().reshape((weight.dim(0)?, ()))?;
    let (new_u, new_v) = power_iteration(&w, &u.as_detached_tensor())?;
    u.set(&new_u)?;
    v.set(&new_v)?;
    spectral_norm(weight, &new_u, &new_v)
}
