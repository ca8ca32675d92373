//! Spectral normalization: a weight over its largest singular value, which power iteration follows.
mod cpu;
pub(crate) mod reference;

use crate::cpu::slices::with_values;
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::apply;
use candle_core::{Result, Tensor, bail};

/// One power iteration towards the largest singular value's vectors: `v' = W^T u / |W^T u|`, `u' = W v' / |W v'|`, without
/// gradients; norms are at least 1e-12.
///
/// # Shapes
/// `weight`: `(O, ...)`, seen as the matrix W `(O, K)`; `u` and `u'`: `(O,)`; `v'`: `(K,)`.
///
/// # Errors
/// Shapes that do not fit.
pub fn power_iteration(weight: &Tensor, u: &Tensor) -> Result<(Tensor, Tensor)> {
    let o = weight.dim(0)?;
    if u.dims() != [o] {
        bail!("power_iteration: u: expected ({o},), got {:?}", u.dims())
    }
    let (w, u) = (weight.detach().reshape((o, ()))?, u.detach());
    match backend("power_iteration", &[&w, &u])? {
        Backend::Cpu => {
            let vectors = with_values([&w.contiguous()?, &u.contiguous()?], |[w, u]| Ok(cpu::iterate(w, u)))?;
            let vector = |values: Vec<f32>| {
                let n = values.len();
                Tensor::from_vec(values, n, w.device())
            };
            Ok((vector(vectors.0)?, vector(vectors.1)?))
        }
        _ => fall_back(|| reference::power_iteration(&w, &u)),
    }
}

/// `W / sigma` with `sigma = u^T W v`, u and v constants.
///
/// # Shapes
/// `weight`: `(O, ...)`, seen as the matrix W `(O, K)`; `u`: `(O,)`; `v`: `(K,)`; the result as `weight`.
///
/// # Errors
/// Shapes that do not fit.
pub fn spectral_norm(weight: &Tensor, u: &Tensor, v: &Tensor) -> Result<Tensor> {
    let o = weight.dim(0)?;
    if u.dims() != [o] || v.dims() != [weight.elem_count() / o.max(1)] {
        bail!(
            "spectral_norm: expected (O, ...), (O,) and (K,), got {:?}, {:?} and {:?}",
            weight.dims(),
            u.dims(),
            v.dims()
        )
    }
    let (u, v) = (u.detach(), v.detach());
    match backend("spectral_norm", &[weight, &u, &v])? {
        Backend::Cpu if weight.elem_count() > 0 => {
            apply(cpu::Divide(weight.shape().clone()), [weight, &u, &v])
        }
        _ => fall_back(|| reference::spectral_norm(weight, &u, &v)),
    }
}
