//! A gate: values let through by the sigmoid of a mask's logits.
mod cpu;
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::apply;
use candle_core::{Result, Tensor, bail};

/// `x sigmoid(scale logits)`: what a mask lets through. With `-scale` it is what the mask holds back, `x` without it.
///
/// # Shapes
/// `x` and `logits` alike; so is the result.
///
/// # Errors
/// Shapes that differ.
pub fn gate(x: &Tensor, logits: &Tensor, scale: f64) -> Result<Tensor> {
    if x.dims() != logits.dims() {
        bail!("gate: logits: expected {:?} as x, got {:?}", x.dims(), logits.dims())
    }
    match backend("gate", &[x, logits])? {
        Backend::Cpu => apply(cpu::Gate { scale: scale as f32, shape: x.shape().clone() }, [x, logits]),
        Backend::Cuda => {
            apply_cuda(cuda::Gate { scale: scale as f32, shape: x.shape().clone() }, [x, logits])
        }
        _ => fall_back(|| reference::gate(x, logits, scale)),
    }
}
