use crate::cpu::channels::Channels;
use crate::cpu::rows::Affine;
use crate::cpu::{is_fast, slice, with_values};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};

/// What follows a convolution or a normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(x, 0)`, with gradient 0 at 0.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x` above 0, `slope * x` elsewhere.
    LeakyRelu(f64),
    /// Gated linear unit over channels: `a * sigmoid(b)`, `a` the first half of axis 1 and `b` the second.
    Glu,
}

impl Activation {
    /// Channels that come out when `channels` go in.
    pub fn channels_out(self, channels: usize) -> usize {
        if self == Self::Glu { channels / 2 } else { channels }
    }
}

/// Applies `act` to `x`.
///
/// # Shapes
/// `x`: `(B, C, ...)`; result: the same, or `(B, C / 2, ...)` for [`Activation::Glu`].
///
/// # Errors
/// An odd number of channels for a gated linear unit.
pub fn activate(x: &Tensor, act: Activation) -> Result<Tensor> {
    if act == Activation::Identity {
        return Ok(x.clone());
    }
    if !is_fast(x) || x.rank() < 2 {
        return reference(x, act);
    }
    if act == Activation::Glu && x.dim(1)? % 2 != 0 {
        bail!("activate: x: a gated linear unit needs an even number of channels, got {}", x.dim(1)?)
    }
    x.contiguous()?.apply_op1(Activate(act))
}

/// `dims` with the channels that `act` leaves.
pub(crate) fn shape_out(dims: &[usize], act: Activation) -> Shape {
    let mut dims = dims.to_vec();
    dims[1] = act.channels_out(dims[1]);
    Shape::from(dims)
}

struct Activate(Activation);

impl CustomOp1 for Activate {
    fn name(&self) -> &'static str {
        "activate"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = Channels::of(layout.dims()).activate(slice(x, layout)?, self.0, &|_| Affine::IDENTITY, None);
        Ok((CpuStorage::F32(y), shape_out(layout.dims(), self.0)))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        let dx = with_values([x, &dy], |[x_values, dy]| {
            Ok(Channels::of(x.dims()).gradient(x_values, self.0, &|_| Affine::IDENTITY, dy, &|_, _| ()))
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), &Device::Cpu)?))
    }
}

/// Plain-tensor form of [`activate`].
pub fn reference(x: &Tensor, act: Activation) -> Result<Tensor> {
    // Gates are built from comparisons, which carry no gradient, so that the derivative at 0 is the stated one.
    let gate = |keep: Tensor| -> Result<Tensor> { keep.to_dtype(x.dtype())?.mul(x) };
    match act {
        Activation::Identity => Ok(x.clone()),
        Activation::Relu => gate(x.gt(0.)?),
        Activation::Relu6 => {
            let inside = gate((x.gt(0.)? * x.lt(6.)?)?)?;
            inside + (x.ge(6.)?.to_dtype(x.dtype())? * 6.)?
        }
        Activation::LeakyRelu(slope) => {
            let positive = x.gt(0.)?.to_dtype(x.dtype())?;
            let factor = ((positive * (1. - slope))? + slope)?;
            factor.mul(x)
        }
        Activation::Glu => {
            let c = x.dim(1)?;
            if c % 2 != 0 {
                bail!("activate: x: a gated linear unit needs an even number of channels, got {c}")
            }
            let (a, b) = (x.narrow(1, 0, c / 2)?, x.narrow(1, c / 2, c / 2)?);
            a.mul(&candle_nn::ops::sigmoid(&b)?)
        }
    }
}
