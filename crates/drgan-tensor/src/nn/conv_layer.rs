//! Convolution, normalization and activation as one layer, which can be packed for inference.
//!
//! `y = act(norm(conv(upsample(x)))) + residual`, where upsampling, normalization and residual are optional. Training and
//! inference choose the fused operation that covers most of it.
//!
//! ```
//! use drgan_tensor::ops::{Activation, Precision};
//! use drgan_tensor::prelude::*;
//!
//! let store = ParamStore::seeded(1);
//! let vb = store.builder(DType::F32, &Device::Cpu);
//! let conv = nn::Conv2d::same3x3(3, 4, vb.pp("conv"))?;
//! let layer = nn::ConvLayer::normalized(conv, nn::BatchNorm::new(4, vb.pp("norm"))?, Activation::Relu);
//! let packed = layer.pack(Precision::F32)?;
//! let mut ctx = Ctx::new(Mode::Eval, 7);
//! let x = ctx.randn((1, 3, 8, 8), DType::F32, &Device::Cpu)?;
//! let difference = (layer.forward(&x, &ctx)? - packed.forward(&x, &ctx)?)?.abs()?.max_all()?;
//! assert!(difference.to_scalar::<f32>()? < 1e-4);
//! # Ok::<(), drgan_tensor::Error>(())
//! ```
use super::batch_norm::BatchNorm;
use super::conv::Conv2d;
use crate::ops::{self, Activation, PackedConv, PackedSpec, Precision};
use crate::{Ctx, Error, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// A convolution with its activation, perhaps with batch norm between them, perhaps of the upsampled map.
#[derive(Clone, Debug)]
pub struct ConvLayer {
    conv: Conv2d,
    norm: Option<BatchNorm>,
    act: Activation,
    upsample: bool,
    /// All of it in one operation, once the layer is packed.
    packed: Option<Arc<PackedConv>>,
}

impl ConvLayer {
    /// A layer that computes `act(conv(x))`.
    pub fn plain(conv: Conv2d, act: Activation) -> Self {
        Self { conv, norm: None, act, upsample: false, packed: None }
    }

    /// A layer that computes `act(BN(conv(x)))`.
    pub fn normalized(conv: Conv2d, norm: BatchNorm, act: Activation) -> Self {
        Self { norm: Some(norm), ..Self::plain(conv, act) }
    }

    /// The same layer with nearest-neighbour x2 upsampling before the convolution, which is 3x3 with padding 1 and has no
    /// bias.
    pub fn upsampled(self) -> Self {
        Self { upsample: true, ..self }
    }

    /// A copy for inference: normalization folded into the convolution, and weights laid out once as the fastest
    /// algorithm reads them. It only evaluates, keeps no gradient, and does not see later changes of the weights.
    ///
    /// # Errors
    /// Weights that are not f32 on the CPU.
    pub fn pack(&self, precision: Precision) -> Result<Self> {
        let (scale, shift) = match &self.norm {
            None => (None, self.conv.bias().cloned()),
            Some(norm) => {
                let (scale, mut shift) = norm.folded()?;
                if let Some(bias) = self.conv.bias() {
                    shift = (shift + (bias * &scale)?)?;
                }
                (Some(scale), Some(shift))
            }
        };
        let spec = PackedSpec::new(self.conv.spec(), self.act)
            .with_upsample(self.upsample)
            .with_precision(precision);
        let packed = PackedConv::new(self.conv.weight(), scale.as_ref(), shift.as_ref(), spec)?;
        Ok(Self { packed: Some(Arc::new(packed)), ..self.clone() })
    }

    /// The layer's output for `x`.
    ///
    /// # Shapes
    /// `x` `(B, C, H, W)`.
    ///
    /// # Errors
    /// `x` does not fit; with batch norm in training, fewer than two values per channel, or a packed layer.
    pub fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        self.run(x, None, ctx)
    }

    /// `forward(x) + residual`.
    ///
    /// # Shapes
    /// `x` `(B, C, H, W)`; `residual` as the result.
    ///
    /// # Errors
    /// As [`ConvLayer::forward`]; `residual` of another shape than the result.
    pub fn forward_residual(&self, x: &Tensor, residual: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        self.run(x, Some(residual), ctx)
    }

    fn run(&self, x: &Tensor, residual: Option<&Tensor>, ctx: &Ctx) -> Result<Tensor> {
        if let Some(packed) = &self.packed {
            if self.norm.is_some() && ctx.mode.batch_statistics() {
                return Err(Error::Packed);
            }
            return Ok(packed.forward(x, residual)?);
        }
        let convolved = || -> Result<Tensor> {
            if self.upsample { Ok(ops::up_conv2d(x, self.conv.weight())?) } else { self.conv.forward(x) }
        };
        let y = match (&self.norm, residual) {
            (Some(norm), Some(residual)) => {
                return norm.forward_residual(&convolved()?, self.act, residual, ctx);
            }
            (Some(norm), None) if ctx.mode.batch_statistics() && self.conv.bias().is_none() => {
                norm.forward_conv(&self.conv, self.upsample, x, self.act, ctx)?
            }
            (Some(norm), None) => norm.forward(&convolved()?, self.act, ctx)?,
            (None, _) if self.upsample => ops::activate(&convolved()?, self.act)?,
            (None, _) => self.conv.forward_act(x, self.act)?,
        };
        Ok(match residual {
            Some(residual) => (residual + y)?,
            None => y,
        })
    }
}
