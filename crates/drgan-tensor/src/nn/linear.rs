//! Linear layers, and the two small networks made of one: conditioning, and a vector spread over a map.
//!
//! ```
//! use drgan_tensor::prelude::*;
//!
//! let store = ParamStore::seeded(1);
//! let vb = store.builder(DType::F32, &Device::Cpu);
//! let mut ctx = Ctx::new(Mode::Train, 7);
//! let sentence = ctx.randn((2, 6), DType::F32, &Device::Cpu)?;
//! let posterior = nn::ConditionNet::new(6, 3, vb.pp("ca_net"))?.forward(&sentence)?;
//! let code = posterior.sample(&ctx.randn((2, 3), DType::F32, &Device::Cpu)?)?;
//! let map = nn::VectorToMap::new(3, 5, vb)?.forward(&code, &ctx)?;
//! assert_eq!(map.dims(), [2, 5, 4, 4]);
//! # Ok::<(), drgan_tensor::Error>(())
//! ```
use super::batch_norm::BatchNorm;
use crate::ops::{self, Activation};
use crate::{Ctx, Gaussian, Hint, Result, VarBuilder};
use candle_core::Tensor;
use candle_nn::Init;

/// `y = x W^T + b`. Names: `weight` `(out, in)`, and `bias` `(out,)` if it has one.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// A layer with a bias.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(inp: usize, out: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let bias = Some(vb.get_with_hints(out, "bias", Hint::param(Init::Const(0.)))?);
        Ok(Self { bias, ..Self::no_bias(inp, out, vb)? })
    }

    /// A layer without a bias.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn no_bias(inp: usize, out: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints((out, inp), "weight", Hint::param(super::conv::INIT))?,
            bias: None,
        })
    }

    /// `act(y)`: `x` `(B, in)` to `(B, out)`, or `(B, out / 2)` for a gated linear unit.
    ///
    /// # Errors
    /// `x` does not fit; an odd `out` for a gated linear unit.
    pub fn forward_act(&self, x: &Tensor, act: Activation) -> Result<Tensor> {
        let y = ops::linear(x, &self.weight)?;
        Ok(match &self.bias {
            Some(bias) => ops::activate_biased(&y, bias, act)?,
            None => ops::activate(&y, act)?,
        })
    }

    /// `x` `(B, in)` to `(B, out)`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_act(x, Activation::Identity)
    }
}

/// The network of conditioning augmentation: `Linear(in, 4 n) -> GLU -> (mu, logvar)`, `n` values each. Name: `fc`.
///
/// # Paper
/// Conditioning augmentation as in StackGAN; the gated linear unit before mu and logvar is the released code's
/// (docs/divergences.md, conditioning).
#[derive(Clone, Debug)]
pub struct ConditionNet {
    fc: Linear,
}

impl ConditionNet {
    /// A layer from vectors of `inp` values to Gaussians of `dims` dimensions.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(inp: usize, dims: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self { fc: Linear::new(inp, 4 * dims, vb.pp("fc"))? })
    }

    /// The Gaussian for `x` `(B, in)`: mean and logarithm of the variance, each `(B, dims)`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Gaussian> {
        let y = self.fc.forward_act(x, Activation::Glu)?; // (B, 2 n)
        let (mu, logvar) = ops::halves(&y)?;
        Ok(Gaussian { mu, logvar })
    }
}

/// A vector to a 4x4 map, `Linear -> BN -> GLU -> (B, C, 4, 4)`: the start of a generator or decoder.
///
/// Names: `fc.0` (linear, without a bias), `fc.1` (batch norm).
#[derive(Clone, Debug)]
pub struct VectorToMap {
    fc: Linear,
    bn: BatchNorm,
    channels: usize,
}

impl VectorToMap {
    /// A layer from vectors of `inp` values to maps of `channels`.
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

    /// The map `(B, C, 4, 4)` of `x` `(B, in)`.
    ///
    /// # Errors
    /// `x` does not fit; in training, a batch of one.
    pub fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let y = self.bn.forward(&self.fc.forward(x)?, Activation::Glu, ctx)?; // (B, 16 C)
        Ok(y.reshape((x.dim(0)?, self.channels, 4, 4))?)
    }
}
