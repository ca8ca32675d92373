//! 2-D convolution with its bias and activation, and the same for inference ([`PackedConv`]).
pub(crate) mod cpu;
pub(crate) mod cuda;
pub(crate) mod op;
mod packed;
mod packed_spec;
pub(crate) mod reference;
pub(crate) mod shape;

pub use packed::PackedConv;
pub use packed_spec::PackedSpec;
pub use shape::{Conv2dSpec, Padding};

use crate::dispatch::{Backend, backend, fall_back};
use crate::ops::activation::activate;
use crate::ops::activation::kind::Activation;
use candle_core::{Result, Tensor, bail};
use op::convolve;
use shape::ConvShape;

/// 2-D cross-correlation: `y[b, o, i, j] = bias[o] + sum_{c,u,v} w[o, c, u, v] x[b, c, s i + u - top, s j + v - left]`.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `weight`: `(O, C, kh, kw)`; `bias`: `(O,)`; result: `(B, O, H', W')`.
///
/// # Errors
/// Shapes that do not fit each other.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use drgan_kernels::{Conv2dSpec, conv2d};
///
/// let x = Tensor::ones((1, 2, 5, 5), DType::F32, &Device::Cpu)?;
/// let weight = Tensor::ones((4, 2, 3, 3), DType::F32, &Device::Cpu)?;
/// let y = conv2d(&x, &weight, None, Conv2dSpec::new(2, 1))?; // stride 2, padding 1
/// assert_eq!(y.dims(), [1, 4, 3, 3]);
/// assert_eq!(y.get(0)?.get(0)?.to_vec2::<f32>()?[1], [12., 18., 12.]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, spec: Conv2dSpec) -> Result<Tensor> {
    conv2d_act(x, weight, bias, Activation::Identity, spec)
}

/// `act(conv2d(x))`, where nothing but the result is kept for the gradient unless the activation is gated.
///
/// # Shapes
/// As [`conv2d`]; with [`Activation::Glu`] the result is `(B, O / 2, H', W')`.
///
/// # Errors
/// Shapes that do not fit each other; an odd O for a gated linear unit.
pub fn conv2d_act(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    act: Activation,
    spec: Conv2dSpec,
) -> Result<Tensor> {
    let shape = ConvShape::new(x.shape(), weight.shape(), spec, false)?;
    act.check_channels("conv2d: weight", shape.o)?;
    if let Some(bias) = bias
        && bias.dims() != [shape.o]
    {
        bail!("conv2d: bias: expected ({},), got {:?}", shape.o, bias.dims())
    }
    let inputs: Vec<&Tensor> = [x, weight].into_iter().chain(bias).collect();
    let convolve = match backend("conv2d", &inputs)? {
        Backend::Cpu if x.elem_count() > 0 => convolve,
        Backend::Cuda if x.elem_count() > 0 && weight.elem_count() > 0 => cuda::convolve,
        _ => return fall_back(|| reference::conv2d_act(x, weight, bias, act, spec)),
    };
    if act.gradient_from_output() {
        return convolve(x, weight, bias, act, shape);
    }
    activate(&convolve(x, weight, bias, Activation::Identity, shape)?, act)
}
