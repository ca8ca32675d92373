//! Means of the softplus, what adversarial losses are made of.
mod cuda;
pub(crate) mod reference;

use crate::dispatch::{Backend, backend, fall_back};
use candle_core::{Result, Tensor, bail};

/// The sum of the means of `softplus(x)` over each of `xs`, or of `softplus(-x)` where they are `negated`, over `divisor`. The softplus is
/// `ln(1 + e^x)`, right for every x however large; its gradient is the sigmoid, 1/2 at 0.
///
/// # Shapes
/// One to three tensors of any shapes, none empty; the result is a scalar.
///
/// # Errors
/// Another number of tensors, a tensor without values, a type that is not a float.
pub fn softplus_means(xs: &[&Tensor], negated: bool, divisor: f64) -> Result<Tensor> {
    if !(1..=3).contains(&xs.len()) {
        bail!("softplus_means: xs: expected one to three tensors, got {}", xs.len())
    }
    if xs.iter().any(|x| x.elem_count() == 0) {
        bail!("softplus_means: xs: a tensor has no values")
    }
    match backend("softplus_means", xs)? {
        Backend::Cuda => cuda::softplus_means(xs, negated, divisor),
        // Logits are few: a kernel would gain nothing there.
        Backend::Cpu => reference::softplus_means(xs, negated, divisor),
        _ => fall_back(|| reference::softplus_means(xs, negated, divisor)),
    }
}
