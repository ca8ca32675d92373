//! Numerical comparison for tests: both tolerances, worst offender named.
pub mod disk;

use crate::device::HOST;
use crate::{Hint, Result, TensorSource, VarBuilder, builder_over};
use candle_core::{DType, Device, Shape, Tensor};

/// A tolerance: `|a - b| <= atol + rtol * |b|`, as in NumPy.
#[derive(Clone, Copy, Debug)]
pub struct Tol {
    /// Part of the tolerance that is relative to `|b|`.
    pub rtol: f64,
    /// Part of the tolerance that is absolute.
    pub atol: f64,
}

impl Tol {
    /// No tolerance: equal values.
    pub const EXACT: Self = Self { rtol: 0., atol: 0. };
    /// One layer in f32 against a reference framework.
    pub const LAYER: Self = Self { rtol: 1e-4, atol: 1e-5 };
    /// Tolerance of a whole network in f32.
    pub const NETWORK: Self = Self { rtol: 1e-3, atol: 1e-4 };
}

/// Panics with the worst element's index, both values and the tolerance that failed, and where there is nothing to compare.
///
/// # Errors
/// What candle reports.
#[track_caller]
pub fn assert_close(what: &str, got: &Tensor, want: &Tensor, tol: Tol) -> Result<()> {
    assert_eq!(got.dims(), want.dims(), "{what}: shapes differ");
    assert_ne!(got.elem_count(), 0, "{what}: no elements to compare");
    let flat = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let (g, w) = (flat(got)?, flat(want)?);
    let excess = |i: usize| (g[i] - w[i]).abs() - (tol.atol + tol.rtol * w[i].abs());
    if let Some(nan) = g.iter().position(|v| v.is_nan()) {
        panic!("{what}: NaN at flat index {nan}");
    }
    let worst = (0..g.len()).max_by(|&a, &b| excess(a).total_cmp(&excess(b))).unwrap_or(0);
    assert!(excess(worst) <= 0., "{what}: flat index {worst}: got {}, want {} ({tol:?})", g[worst], w[worst]);
    Ok(())
}

/// Central-difference check of `d f / d x` at every element; `f` must return a scalar.
#[track_caller]
pub fn assert_grad(what: &str, x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>, tol: Tol) -> Result<()> {
    let x = x.to_dtype(DType::F64)?;
    let var = candle_core::Var::from_tensor(&x)?;
    let grads = f(var.as_tensor())?.backward()?;
    let analytic = grads.get(&var).unwrap_or_else(|| panic!("{what}: no gradient reaches the input")).clone();
    let (base, eps) = (x.flatten_all()?.to_vec1::<f64>()?, 1e-5);
    let at = |i: usize, d: f64| -> Result<f64> {
        let mut v = base.clone();
        v[i] += d;
        Ok(f(&Tensor::from_vec(v, x.dims(), x.device())?)?.to_scalar::<f64>()?)
    };
    let numeric =
        (0..base.len()).map(|i| Ok((at(i, eps)? - at(i, -eps)?) / (2. * eps))).collect::<Result<Vec<_>>>()?;
    assert_close(what, &analytic, &Tensor::from_vec(numeric, x.dims(), x.device())?, tol)
}

/// The golden files' rule for weights: values that depend on a salt and each parameter's name only.
///
/// `u(name)[i]` is the top 24 bits of SplitMix64's mix of `FNV-1a(salt/name) + (i + 1) 0x9E3779B97F4A7C15`, scaled
/// to `[-1, 1)`; what the value is then depends on the parameter's rank and the end of its name.
#[derive(Clone, Debug)]
pub struct Fill {
    salt: String,
    prefix: String,
}

impl Fill {
    /// `prefix` is put before every name that a module asks for.
    pub fn new(salt: &str, prefix: &str) -> Self {
        Self { salt: salt.to_owned(), prefix: prefix.to_owned() }
    }

    /// A builder whose parameters follow the rule.
    pub fn builder(&self) -> VarBuilder<'static> {
        builder_over(self.clone(), DType::F32, &HOST)
    }

    /// The values of the parameter `name` of shape `dims`.
    pub fn values(&self, name: &str, dims: &[usize]) -> Vec<f32> {
        let seed = crate::params::seed::fnv1a(format!("{}/{}{name}", self.salt, self.prefix).as_bytes());
        let unit = |i: usize| {
            let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.
        };
        let u: Vec<f64> = (0..dims.iter().product()).map(unit).collect();
        let scaled = |f: &dyn Fn(f64) -> f64| u.iter().map(|v| f(*v) as f32).collect();
        match dims {
            [_, rest @ ..] if !rest.is_empty() => {
                let gain = (3. / rest.iter().product::<usize>() as f64).sqrt();
                scaled(&|v| v * gain)
            }
            _ if name.ends_with("running_var") => scaled(&|v| 1. + 0.25 * v),
            _ if name.ends_with("running_mean") => scaled(&|v| 0.1 * v),
            _ if name.ends_with("_u") || name.ends_with("_v") => {
                let norm = u.iter().map(|v| v * v).sum::<f64>().sqrt();
                scaled(&|v| v / norm)
            }
            _ if name.ends_with("weight") => scaled(&|v| 1. + 0.1 * v),
            _ => scaled(&|v| 0.05 * v),
        }
    }
}

impl TensorSource for Fill {
    fn tensor(
        &self,
        shape: Shape,
        name: &str,
        _: Hint,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let values = self.values(name, shape.dims());
        Tensor::from_vec(values, shape, device)?.to_dtype(dtype)
    }

    fn contains(&self, _: &str) -> bool {
        true
    }
}

/// A golden file's tensors by name, on the CPU.
///
/// # Errors
/// The file is missing or not safetensors.
pub fn golden(path: impl AsRef<std::path::Path>) -> Result<std::collections::HashMap<String, Tensor>> {
    Ok(candle_core::safetensors::load(path, &HOST)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: &[f32]) -> Tensor {
        Tensor::new(values, &HOST).unwrap()
    }

    #[test]
    fn values_within_the_tolerance_are_close() -> Result<()> {
        assert_close("same", &vector(&[1., 2.]), &vector(&[1., 2.]), Tol::EXACT)?;
        assert_close("near", &vector(&[1., 2.]), &vector(&[1., 2.0001]), Tol::LAYER)
    }

    #[test]
    #[should_panic(expected = "flat index 1: got 2, want 3")]
    fn the_worst_element_is_named() {
        let _ = assert_close("values", &vector(&[1., 2., 5.]), &vector(&[1.5, 3., 5.]), Tol::LAYER);
    }

    #[test]
    #[should_panic(expected = "no elements to compare")]
    fn nothing_is_not_close_to_nothing() {
        let _ = assert_close("values", &vector(&[]), &vector(&[]), Tol::EXACT);
    }

    #[test]
    #[should_panic(expected = "shapes differ")]
    fn another_shape_is_not_close() {
        let _ = assert_close("values", &vector(&[1.]), &vector(&[1., 1.]), Tol::EXACT);
    }

    #[test]
    #[should_panic(expected = "want NaN")]
    fn nothing_is_close_to_nan() {
        let _ = assert_close("values", &vector(&[1.]), &vector(&[f32::NAN]), Tol::NETWORK);
    }
}
