use crate::cpu::rows;
use crate::cpu::{fill_uninit, is_fast, slice, with_values};
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use std::sync::OnceLock;

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
    let w = weight.detach().reshape((o, ()))?;
    if !(is_fast(&w) && is_fast(u)) {
        return reference_iteration(&w, &u.detach());
    }
    let (w, u) = (w.contiguous()?, u.detach().contiguous()?);
    let (u, v) = with_values([&w, &u], |[w, u]| {
        let k = w.len() / o.max(1);
        let mut v = vec![0f32; k];
        v.par_chunks_mut(COLUMNS).enumerate().for_each(|(i, v)| {
            for (row, u) in w.chunks_exact(k).zip(u) {
                rows::add_row(&row[i * COLUMNS..][..v.len()], *u, v);
            }
        });
        normalize(&mut v);
        let mut u = products(w, &v);
        normalize(&mut u);
        Ok((u, v))
    })?;
    let vector = |values: Vec<f32>| Tensor::from_vec(values.clone(), values.len(), &Device::Cpu);
    Ok((vector(u)?, vector(v)?))
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
    if !(is_fast(weight) && is_fast(&u) && is_fast(&v)) || weight.elem_count() == 0 {
        return reference(weight, &u, &v);
    }
    weight.contiguous()?.apply_op3(&u.contiguous()?, &v.contiguous()?, Divide::default())
}

/// Columns of W that one task multiplies by `u`.
const COLUMNS: usize = 512;

/// `W v`.
fn products(w: &[f32], v: &[f32]) -> Vec<f32> {
    w.par_chunks_exact(v.len().max(1)).map(|row| rows::product_row(row, 0., v, 0.) as f32).collect()
}

fn normalize(x: &mut [f32]) {
    let norm = rows::product_row(x, 0., x, 0.).sqrt() + 1e-12;
    x.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
}

/// The division, which remembers sigma.
#[derive(Default)]
struct Divide(OnceLock<f32>);

impl CustomOp3 for Divide {
    fn name(&self) -> &'static str {
        "spectral_norm"
    }

    fn cpu_fwd(
        &self,
        w: &CpuStorage,
        lw: &Layout,
        u: &CpuStorage,
        lu: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (w, u, v) = (slice(w, lw)?, slice(u, lu)?, slice(v, lv)?);
        let sigma = rows::product_row(&products(w, v), 0., u, 0.) as f32;
        // A second pass over the same node would find the same.
        let _ = self.0.set(sigma);
        // SAFETY: rows cover all values, each is its task's own and is written without being read.
        let y = unsafe {
            fill_uninit(w.len(), |out| {
                w.par_chunks_exact(v.len()).enumerate().for_each(|(o, w)| {
                    rows::blend_row(w, 1. / sigma, w, 0., out.slice_mut(o * v.len(), v.len()));
                });
            })
        };
        Ok((CpuStorage::F32(y), lw.shape().clone()))
    }

    /// `(dy - <dy, y> u v^T) / sigma`.
    fn bwd(
        &self,
        w: &Tensor,
        u: &Tensor,
        v: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(sigma) = self.0.get() else {
            bail!("spectral_norm: a backward pass without a forward pass")
        };
        let dy = dy.contiguous()?;
        let dw = with_values([u, v, y, &dy], |[u, v, y, dy]| {
            let k = v.len();
            let rows = dy.par_chunks_exact(k).zip(y.par_chunks_exact(k));
            let sums: Vec<f64> = rows.map(|(dy, y)| rows::product_row(dy, 0., y, 0.)).collect();
            let along = sums.iter().sum::<f64>() as f32;
            // SAFETY: as above.
            Ok(unsafe {
                fill_uninit(dy.len(), |out| {
                    dy.par_chunks_exact(k).zip(u).enumerate().for_each(|(o, (dy, u))| {
                        rows::blend_row(dy, 1. / sigma, v, -along * u / sigma, out.slice_mut(o * k, k));
                    });
                })
            })
        })?;
        Ok((Some(Tensor::from_vec(dw, w.shape(), &Device::Cpu)?), None, None))
    }
}

/// Plain-tensor form of [`power_iteration`], of the matrix.
pub fn reference_iteration(w: &Tensor, u: &Tensor) -> Result<(Tensor, Tensor)> {
    let normalize = |x: Tensor| x.broadcast_div(&(x.sqr()?.sum_all()?.sqrt()? + 1e-12)?);
    let v = normalize(w.t()?.matmul(&u.unsqueeze(1)?)?.squeeze(1)?)?;
    let u = normalize(w.matmul(&v.unsqueeze(1)?)?.squeeze(1)?)?;
    Ok((u, v))
}

/// Plain-tensor form of [`spectral_norm`].
pub fn reference(weight: &Tensor, u: &Tensor, v: &Tensor) -> Result<Tensor> {
    let w = weight.reshape((weight.dim(0)?, ()))?;
    let sigma = (w.matmul(&v.unsqueeze(1)?)?.squeeze(1)? * u)?.sum_all()?;
    weight.broadcast_div(&sigma)
}
