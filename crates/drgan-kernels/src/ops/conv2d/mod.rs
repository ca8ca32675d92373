//! 2-D convolution with its bias and activation, and the same for inference ([`PackedConv`]).
pub(crate) mod cpu;
pub(crate) mod op;
mod packed;
pub(crate) mod reference;
pub(crate) mod shape;

pub use packed::{PackedConv, PackedSpec, Precision};
pub use shape::{Conv2dSpec, Padding};

use crate::cpu::is_fast;
use crate::ops::activation::{self, Activation};
use candle_core::{Result, Tensor, bail};
use shape::ConvShape;

/// 2-D cross-correlation: `y[b, o, i, j] = bias[o] + sum_{c,u,v} w[o, c, u, v] x[b, c, s i + u - top, s j + v - left]`.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `weight`: `(O, C, kh, kw)`; `bias`: `(O,)`; result: `(B, O, H', W')`.
///
/// # Errors
/// Shapes that do not fit each other.
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
    if !(is_fast(x) && is_fast(weight)) || x.elem_count() == 0 {
        return activation::reference(&reference::conv2d(x, weight, bias, spec)?, act);
    }
    let shape = ConvShape::new(x.shape(), weight.shape(), spec, false)?;
    if let Some(bias) = bias
        && bias.dims() != [shape.o]
    {
        bail!("conv2d: bias: expected ({},), got {:?}", shape.o, bias.dims())
    }
    if op::gradient_from_output(act) {
        return op::apply(x, weight, bias, act, shape);
    }
    activation::activate(&op::apply(x, weight, bias, Activation::Identity, shape)?, act)
}
