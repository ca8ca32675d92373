use candle_core::{Result, Tensor, bail};

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
    reference(x, act)
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
