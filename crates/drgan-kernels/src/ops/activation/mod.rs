//! Activations: ReLU, ReLU6, LeakyReLU and the gated linear unit.
pub(crate) mod cpu;
pub(crate) mod cuda;
pub(crate) mod kind;
pub(crate) mod reference;
pub(crate) mod scalar;

pub use kind::Activation;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::apply;
use candle_core::{Result, Tensor, bail};

/// Applies `act` to `x`.
///
/// # Shapes
/// `x`: `(B, C, ...)`; result: the same, or `(B, C / 2, ...)` for [`Activation::Glu`].
///
/// # Errors
/// An odd number of channels for a gated linear unit.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use drgan_kernels::{Activation, activate};
///
/// let x = Tensor::new(&[[-1f32, 0., 2.]], &Device::Cpu)?;
/// assert_eq!(activate(&x, Activation::LeakyRelu(0.5))?.to_vec2::<f32>()?, [[-0.5, 0., 2.]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn activate(x: &Tensor, act: Activation) -> Result<Tensor> {
    if act == Activation::Identity {
        return Ok(x.clone());
    }
    let backend = backend("activate", &[x])?;
    if x.rank() < 2 {
        return fall_back(|| reference::activate(x, act));
    }
    act.check_channels("activate: x", x.dim(1)?)?;
    let dims = x.dims().to_vec();
    match backend {
        Backend::Cpu => apply(cpu::Activate { act, dims }, [x]),
        Backend::Cuda => apply_cuda(cuda::Activate { act, dims }, [x]),
        _ => fall_back(|| reference::activate(x, act)),
    }
}

/// `act(x + bias)`, the activation after a linear layer.
///
/// # Shapes
/// `x`: `(B, C)`, `bias`: `(C,)`; result: `(B, C)`, or `(B, C / 2)` for [`Activation::Glu`].
///
/// # Errors
/// Shapes that do not fit; an odd number of channels for a gated linear unit.
pub fn activate_biased(x: &Tensor, bias: &Tensor, act: Activation) -> Result<Tensor> {
    let (_, c) = x.dims2()?;
    if bias.dims() != [c] {
        bail!("activate_biased: bias: expected ({c},) for {:?}, got {:?}", x.dims(), bias.dims())
    }
    act.check_channels("activate_biased: x", c)?;
    match backend("activate_biased", &[x, bias])? {
        Backend::Cuda if x.elem_count() > 0 => {
            apply_cuda(cuda::ActivateBiased { act, dims: x.dims().to_vec() }, [x, bias])
        }
        Backend::Cpu => activate(&x.broadcast_add(bias)?, act),
        _ => fall_back(|| reference::activate_biased(x, bias, act)),
    }
}
