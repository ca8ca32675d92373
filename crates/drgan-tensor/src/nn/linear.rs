use super::BatchNorm;
use crate::ops::{self, Activation};
use crate::{Ctx, Gaussian, Result};
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};

/// `x W^T + b`. Names: `weight` `(out, in)`, `bias` `(out,)` if asked for.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// With a bias.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(inp: usize, out: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let bias = Some(vb.get_with_hints(out, "bias", Init::Const(0.))?);
        Ok(Self { bias, ..Self::no_bias(inp, out, vb)? })
    }

    /// Without.
    ///
    /// # Errors
    /// As [`Linear::new`].
    pub fn no_bias(inp: usize, out: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self { weight: vb.get_with_hints((out, inp), "weight", super::conv::INIT)?, bias: None })
    }

    /// `x` `(B, in)` to `(B, out)`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = ops::linear(x, &self.weight)?;
        Ok(match &self.bias {
            Some(b) => y.broadcast_add(b)?,
            None => y,
        })
    }
}

/// Conditioning net: `Linear(in, 4 n) -> GLU -> mu, logvar`, `n` each. Name: `fc`.
///
/// # Paper
/// Conditioning augmentation, as in StackGAN; the gate in front of mu and logvar is the released code's
/// (docs/divergences.md, conditioning).
#[derive(Clone, Debug)]
pub struct ConditionNet {
    fc: Linear,
    dims: usize,
}

impl ConditionNet {
    /// From vectors of `inp` to Gaussians of `dims`.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(inp: usize, dims: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self { fc: Linear::new(inp, 4 * dims, vb.pp("fc"))?, dims })
    }

    /// `x` `(B, in)`; both halves of the result `(B, dims)`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Gaussian> {
        let y = ops::activate(&self.fc.forward(x)?, Activation::Glu)?; // (B, 2 n)
        Ok(Gaussian { mu: y.narrow(1, 0, self.dims)?, logvar: y.narrow(1, self.dims, self.dims)? })
    }
}

/// A vector to a 4x4 map: `Linear -> BN -> GLU -> (B, C, 4, 4)`. Names: `fc.0`, `fc.1`.
#[derive(Clone, Debug)]
pub struct Expand {
    fc: Linear,
    bn: BatchNorm,
    channels: usize,
}

impl Expand {
    /// From vectors of `inp` to maps of `channels`.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(inp: usize, channels: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let wide = channels * 4 * 4 * 2;
        Ok(Self {
            fc: Linear::no_bias(inp, wide, vb.pp("fc.0"))?,
            bn: BatchNorm::new(wide, vb.pp("fc.1"))?,
            channels,
        })
    }

    /// `x` `(B, in)`.
    ///
    /// # Errors
    /// `x` does not fit; in training, a batch of one.
    pub fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let y = self.bn.forward(&self.fc.forward(x)?, Activation::Glu, ctx)?; // (B, 16 C)
        Ok(y.reshape((x.dim(0)?, self.channels, 4, 4))?)
    }
}
