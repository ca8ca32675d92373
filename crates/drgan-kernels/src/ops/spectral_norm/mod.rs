//! Spectral normalization: a weight over its largest singular value, which power iteration follows.
mod cpu;
mod cuda;
pub(crate) mod reference;

use crate::cpu::slices::with_values;
use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::apply;
use candle_core::{Result, Tensor, Var, bail};
use cuda::Matrix;

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
        Backend::Cuda if w.elem_count() > 0 => {
            Matrix { shape: w.shape().clone(), sides: w.dims2()? }.iterate(&w.contiguous()?, &u.contiguous()?)
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
    let matrix = matrix("spectral_norm", weight, u, v)?;
    let (u, v) = (u.detach(), v.detach());
    match backend("spectral_norm", &[weight, &u, &v])? {
        Backend::Cpu if weight.elem_count() > 0 => {
            apply(cpu::Divide(weight.shape().clone()), [weight, &u, &v])
        }
        Backend::Cuda if weight.elem_count() > 0 => apply_cuda(cuda::Divide(matrix), [weight, &u, &v]),
        _ => fall_back(|| reference::spectral_norm(weight, &u, &v)),
    }
}

/// [`power_iteration`] from `u`, whose vectors `u` and `v` become, and [`spectral_norm`] by them: what a layer does in each
/// training pass. Gradients of earlier steps are of the vectors of their time.
///
/// # Shapes
/// As [`spectral_norm`].
///
/// # Errors
/// Shapes that do not fit.
pub fn spectral_norm_step(weight: &Tensor, u: &Var, v: &Var) -> Result<Tensor> {
    let matrix = matrix("spectral_norm_step", weight, u, v)?;
    match backend("spectral_norm_step", &[weight, u, v])? {
        Backend::Cpu => {
            let (new_u, new_v) = power_iteration(weight, u)?;
            u.set(&new_u)?;
            v.set(&new_v)?;
            spectral_norm(weight, &new_u, &new_v)
        }
        Backend::Cuda if weight.elem_count() > 0 => {
            let (u, v) = (u.as_detached_tensor(), v.as_detached_tensor());
            apply_cuda(cuda::Step { matrix, u, v }, [weight])
        }
        _ => fall_back(|| reference::spectral_norm_step(weight, u, v)),
    }
}

/// The weight as a matrix, to which `u` and `v` fit.
fn matrix(operation: &str, weight: &Tensor, u: &Tensor, v: &Tensor) -> Result<Matrix> {
    let o = weight.dim(0)?;
    let sides = (o, weight.elem_count() / o.max(1));
    if u.dims() != [o] || v.dims() != [sides.1] {
        bail!(
            "{operation}: expected (O, ...), (O,) and (K,), got {:?}, {:?} and {:?}",
            weight.dims(),
            u.dims(),
            v.dims()
        )
    }
    Ok(Matrix { shape: weight.shape().clone(), sides })
}
