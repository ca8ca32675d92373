//! A convolution of a map joined to a vector that stands at every pixel, without the copies of the vector.
mod cpu;
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, fall_back};
use crate::op::apply;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::shape::{Conv2dSpec, ConvShape};
use candle_core::{Result, Tensor, bail};

/// `act(conv2d([x, v at every pixel]) + bias)`: a convolution of channels joined to a vector, as conditional discriminators
/// have it.
///
/// The kernel wants a vector that is a constant; with one that learns, the reference runs.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `vector`, v: `(B, D)`; `weight`: `(O, C + D, kh, kw)`; `bias`: `(O,)`; result: as
/// [`conv2d_act`](crate::conv2d_act).
///
/// # Errors
/// Shapes that do not fit each other.
pub fn joint_conv2d(
    x: &Tensor,
    vector: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    act: Activation,
    spec: Conv2dSpec,
) -> Result<Tensor> {
    let ((b, c, h, w), (rows, d), (o, joined, kh, kw)) = (x.dims4()?, vector.dims2()?, weight.dims4()?);
    if rows != b || Some(joined) != c.checked_add(d) || bias.dims() != [o] {
        bail!(
            "joint_conv2d: expected a vector ({b}, D), a weight (O, {c} + D, kh, kw) and a bias (O,), got {:?}, {:?}, {:?}",
            vector.dims(),
            weight.dims(),
            bias.dims()
        )
    }
    let shape = ConvShape::of_sides((b, h, w), (o, c, kh, kw), spec, false)?;
    let takes = !vector.track_op() && [b, c, d].iter().all(|n| *n > 0) && act.gradient_from_output();
    match backend("joint_conv2d", &[x, vector, weight, bias])? {
        Backend::Cpu if takes => {
            let vectors = vector.flatten_all()?.to_vec1()?;
            apply(cpu::Joint { shape, d, vectors, act }, [x, weight, bias])
        }
        Backend::Cuda if takes && o > 0 => {
            let vectors = vector.contiguous()?;
            apply_cuda(cuda::Joint { shape, vectors, d, act }, [x, weight, bias])
        }
        _ => fall_back(|| reference::joint_conv2d(x, vector, weight, bias, act, spec)),
    }
}
