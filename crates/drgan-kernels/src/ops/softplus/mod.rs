//! Softplus, what adversarial losses are made of.
mod cuda;
pub(crate) mod reference;

use crate::dispatch::{Backend, backend, fall_back};
use candle_core::{Result, Tensor};

/// `ln(1 + e^x)`, right for every x however large; its gradient is the sigmoid, 1/2 at 0.
///
/// # Shapes
/// Any; the result as `x`.
///
/// # Errors
/// A type that is not a float.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    match backend("softplus", &[x])? {
        Backend::Cuda if x.elem_count() > 0 => cuda::softplus(x),
        // Logits are few: a kernel would gain nothing there.
        Backend::Cpu => reference::softplus(x),
        _ => fall_back(|| reference::softplus(x)),
    }
}
