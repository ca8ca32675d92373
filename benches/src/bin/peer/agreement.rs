//! Whether both sides compute the same: nothing is timed before they do.
#![expect(clippy::print_stdout, reason = "how far the sides agree is for whoever runs the comparison")]

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use drgan_parity::relative_error;
use std::path::Path;

/// An image in f32, or a loss: largest error relative to the element, or to the tensor's root mean square where that is
/// larger.
const OUTPUT: f64 = 1e-4;
/// A gradient: norm of the difference, relative to the gradient's. A rectifier (or an absolute value) whose input is 0 but
/// for rounding passes the gradient on one side only, and one such unit of N changes the gradient by about 1 / sqrt(N):
/// in f64 both sides are right, each at other times (docs/benchmarks.md).
const GRADIENT: f64 = 2e-2;
/// What Adam's first moving step adds to weights: alike. It is the learning rate times the gradient's sign, wherever the
/// gradient is small.
const UPDATE: f64 = 0.25;
/// An image in bf16: mean difference, of a range of 2. bf16 keeps 8 bits, so rounding alone is 1/256 per layer.
const BF16: f64 = 2e-2;

/// How a tensor is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Measure {
    Relative(f64),
    Norm(f64),
    Mean(f64),
}

impl Measure {
    fn of(row: &str, name: &str) -> Self {
        if name.starts_with("gradient.") {
            return Self::Norm(GRADIENT);
        }
        if row.ends_with("-bf16") {
            return Self::Mean(BF16);
        }
        if name.starts_with("update.") {
            return Self::Norm(UPDATE);
        }
        Self::Relative(OUTPUT)
    }

    /// The error and the largest allowed.
    fn take(self, drgan: &Tensor, peer: &Tensor) -> Result<(f64, f64)> {
        ensure!(drgan.dims() == peer.dims(), "shapes {:?} and {:?}", drgan.dims(), peer.dims());
        let difference = || (drgan - peer)?.to_dtype(DType::F64);
        let norm = |t: &Tensor| t.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>().map(f64::sqrt);
        Ok(match self {
            Self::Relative(most) => (relative_error(drgan, peer)?, most),
            Self::Norm(most) => (norm(&difference()?)? / norm(peer)?, most),
            Self::Mean(most) => (difference()?.abs()?.mean_all()?.to_scalar()?, most),
        })
    }
}

/// Prints every tensor's error; fails if one is too large, or if a side lacks a tensor.
pub(crate) fn compare(row: &str, dir: &Path) -> Result<()> {
    let load = |name: &str| candle_core::safetensors::load(dir.join(name), &Device::Cpu);
    let (drgan, peer) = (load("ours.safetensors")?, load("peer.safetensors")?);
    let mut names: Vec<_> = drgan.keys().chain(peer.keys()).collect();
    names.sort();
    names.dedup();
    let mut wrong = Vec::new();
    for name in names {
        let of = |side: &str, t: Option<&Tensor>| t.cloned().with_context(|| format!("{side} has no {name}"));
        let (a, b) = (of("this program", drgan.get(name))?, of("the peer", peer.get(name))?);
        let (error, most) = Measure::of(row, name).take(&a, &b).with_context(|| name.clone())?;
        println!("{name}: {error:.1e} of {most:.0e}");
        if error.is_nan() || error > most {
            wrong.push(name.as_str());
        }
    }
    if !wrong.is_empty() {
        bail!("{row}: the two sides disagree: {}", wrong.join(", "))
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_measured_as_their_names_ask() -> Result<()> {
        let t = |v: &[f32]| Tensor::new(v, &Device::Cpu);
        let (a, b) = (t(&[3., 4.5])?, t(&[3., 4.])?);
        let error = |row, name| Measure::of(row, name).take(&a, &b);
        assert_eq!(error("image-1", "image")?, (0.125, OUTPUT));
        assert_eq!(error("image-1-bf16", "image")?, (0.25, BF16));
        assert_eq!(error("step-4", "gradient.generator.x")?, (0.1, GRADIENT));
        assert_eq!(error("step-4", "update.generator.x")?.1, UPDATE);
        assert_eq!(error("step-4", "loss.d64")?.1, OUTPUT);
        assert!(Measure::Mean(1.).take(&a, &t(&[1.])?).is_err());
        Ok(())
    }
}
