//! Initial values of whole networks, over those that each layer gives its own parameters.
use super::seed::name_rng;
use super::{ParamKind, ParamStore};
use crate::Result;
use crate::device::HOST;
use candle_core::{DType, Tensor};
use rand_distr::{Distribution, Normal, StandardNormal};

/// Initializes a network of the GAN: weights of convolutions and linear layers orthogonal, weights of batch norm from
/// N(1, 0.02), vectors of spectral norm uniform on the unit sphere, biases left at 0 (docs/model.md, initialisation).
///
/// Values are computed on the host in f64 and depend on the store's seed and the names only.
///
/// # Errors
/// What the parameters' device reports.
pub fn gan(store: &ParamStore) -> Result<()> {
    for (name, kind, var) in store.all() {
        let mut rng = name_rng(store.seed(), &name);
        let value = match (kind, var.rank(), name.rsplit('.').next()) {
            (ParamKind::Param, 2.., _) => orthogonal(var.dims(), &mut rng)?,
            (ParamKind::Param, 1, Some("weight")) => {
                let d = Normal::new(1., 0.02).map_err(candle_core::Error::wrap)?;
                Tensor::from_iter((0..var.elem_count()).map(|_| d.sample(&mut rng)), &HOST)?
            }
            (ParamKind::Buffer, 1, Some("weight_u" | "weight_v")) => {
                let v: Vec<f64> = StandardNormal.sample_iter(&mut rng).take(var.elem_count()).collect();
                let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
                Tensor::from_iter(v.into_iter().map(|x| x / norm), &HOST)?
            }
            _ => continue,
        };
        var.set(&value.to_dtype(var.dtype())?.to_device(var.device())?)?;
    }
    Ok(())
}

/// A random orthogonal tensor: its matrix `(dims[0], rest)` has orthonormal rows, or columns where there are fewer of those.
///
/// `Q = L^-1 A` with `A A^T = L L^T`, in f64.
fn orthogonal(dims: &[usize], rng: &mut impl rand::Rng) -> Result<Tensor> {
    let (rows, cols) = (dims[0], dims[1..].iter().product::<usize>());
    let (m, n) = (rows.min(cols), rows.max(cols));
    let a: Vec<f64> = StandardNormal.sample_iter(rng).take(m * n).collect();
    let a = Tensor::from_vec(a, (m, n), &HOST)?;
    let gram = a.matmul(&a.t()?)?.flatten_all()?.to_vec1::<f64>()?;
    let inverse = Tensor::from_vec(inverse_cholesky(gram, m), (m, m), &HOST)?;
    let q = inverse.matmul(&a)?;
    let q = if rows <= cols { q } else { q.t()?.contiguous()? };
    Ok(q.reshape(dims)?.to_dtype(DType::F32)?)
}

/// `L^-1` for a symmetric positive definite `g` `(m, m)` with `g = L L^T`, row-major.
fn inverse_cholesky(mut g: Vec<f64>, m: usize) -> Vec<f64> {
    for i in 0..m {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| g[i * m + k] * g[j * m + k]).sum();
            let s = g[i * m + j] - dot;
            g[i * m + j] = if i == j { s.sqrt() } else { s / g[j * m + j] };
        }
    }
    let mut inv = vec![0.; m * m];
    for i in 0..m {
        // Row i of L^-1 is (e_i - sum_{k<i} L[i, k] row_k) / L[i, i].
        let (done, rest) = inv.split_at_mut(i * m);
        let row = &mut rest[..m];
        for k in 0..i {
            let l = g[i * m + k];
            row.iter_mut().zip(&done[k * m..(k + 1) * m]).for_each(|(r, d)| *r -= l * d);
        }
        row[i] += 1.;
        row.iter_mut().for_each(|r| *r /= g[i * m + i]);
    }
    inv
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{BatchNorm, Conv2d, Linear};
    use crate::testing::{Tol, assert_close};
    use candle_core::Device;

    #[test]
    fn weights_are_orthogonal_and_seeded() -> Result<()> {
        let build = |seed| -> Result<ParamStore> {
            let store = ParamStore::seeded(seed);
            let vb = store.builder(DType::F32, &Device::Cpu);
            Linear::new(5, 12, vb.pp("tall"))?;
            Conv2d::same3x3(2, 7, vb.pp("wide"))?;
            BatchNorm::new(4000, vb.pp("bn"))?;
            gan(&store)?;
            Ok(store)
        };
        let views = build(3)?.views();
        let tall = &views["tall.weight"];
        let eye = |n| Tensor::eye(n, DType::F32, &Device::Cpu);
        assert_close("W^T W", &tall.t()?.matmul(tall)?, &eye(5)?, Tol::LAYER)?;
        let wide = views["wide.weight"].reshape((7, 18))?;
        assert_close("W W^T", &wide.matmul(&wide.t()?)?, &eye(7)?, Tol::LAYER)?;
        let bn = views["bn.weight"].to_vec1::<f32>()?;
        let mean = bn.iter().sum::<f32>() / 4000.;
        let std = (bn.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 4000.).sqrt();
        assert!((mean - 1.).abs() < 2e-3 && (std - 0.02).abs() < 2e-3, "N(1, 0.02): {mean}, {std}");
        assert_close("seeded", &build(3)?.views()["tall.weight"], tall, Tol::EXACT)?;
        let other = build(4)?.views()["tall.weight"].flatten_all()?.to_vec1::<f32>()?;
        assert_ne!(other, tall.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }
}
