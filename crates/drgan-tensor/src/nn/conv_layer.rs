use super::{BatchNorm, Conv2d};
use crate::ops::{self, Activation, PackedConv, PackedSpec, Precision};
use crate::{Ctx, Error, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// A convolution, perhaps of the doubled map, perhaps batch-normalised, and an activation.
#[derive(Clone, Debug)]
pub struct ConvLayer {
    conv: Conv2d,
    norm: Option<BatchNorm>,
    act: Activation,
    up: bool,
    /// All of it in one operation, once the layer is packed.
    packed: Option<Arc<PackedConv>>,
}

impl ConvLayer {
    /// `act(conv(x))`.
    pub fn plain(conv: Conv2d, act: Activation) -> Self {
        Self { conv, norm: None, act, up: false, packed: None }
    }

    /// `act(BN(conv(x)))`.
    pub fn normalised(conv: Conv2d, norm: BatchNorm, act: Activation) -> Self {
        Self { norm: Some(norm), ..Self::plain(conv, act) }
    }

    /// The same of nearest-neighbour doubled maps. The convolution is 3x3 with padding 1 and has no bias.
    pub fn doubled(self) -> Self {
        Self { up: true, ..self }
    }

    /// A copy for inference: normalisation folded into the convolution, weights brought into the form that the processor
    /// reads, once. It evaluates only, keeps no gradient, and does not see later changes of the weights.
    ///
    /// # Errors
    /// Weights that are not f32 on the CPU.
    pub fn pack(&self, precision: Precision) -> Result<Self> {
        let (scale, shift) = match &self.norm {
            None => (None, self.conv.bias().cloned()),
            Some(norm) => {
                let (scale, mut shift) = norm.remembered()?;
                if let Some(bias) = self.conv.bias() {
                    shift = (shift + (bias * &scale)?)?;
                }
                (Some(scale), Some(shift))
            }
        };
        let spec =
            PackedSpec::new(self.conv.spec(), self.act).with_upsample(self.up).with_precision(precision);
        let packed = PackedConv::new(self.conv.weight(), scale.as_ref(), shift.as_ref(), spec)?;
        Ok(Self { packed: Some(Arc::new(packed)), ..self.clone() })
    }

    /// # Shapes
    /// `x` `(B, C, H, W)`.
    ///
    /// # Errors
    /// `x` does not fit; normalised in training, fewer than two values a channel, or a packed layer.
    pub fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        self.run(x, None, ctx)
    }

    /// `plus + forward(x)`.
    ///
    /// # Errors
    /// As [`ConvLayer::forward`]; `plus` has another shape than the result.
    pub fn forward_onto(&self, plus: &Tensor, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        self.run(x, Some(plus), ctx)
    }

    fn run(&self, x: &Tensor, plus: Option<&Tensor>, ctx: &Ctx) -> Result<Tensor> {
        if let Some(packed) = &self.packed {
            if self.norm.is_some() && ctx.mode.batch_statistics() {
                return Err(Error::Packed);
            }
            return Ok(packed.forward(x, plus)?);
        }
        let sums = || -> Result<Tensor> {
            if self.up { Ok(ops::up_conv2d(x, self.conv.weight())?) } else { self.conv.forward(x) }
        };
        let y = match (&self.norm, plus) {
            (Some(norm), Some(plus)) => return norm.forward_plus(&sums()?, self.act, plus, ctx),
            (Some(norm), None) if ctx.mode.batch_statistics() && self.conv.bias().is_none() => {
                norm.of_conv(&self.conv, self.up, x, self.act, ctx)?
            }
            (Some(norm), None) => norm.forward(&sums()?, self.act, ctx)?,
            (None, _) if self.up => ops::activate(&sums()?, self.act)?,
            (None, _) => self.conv.forward_act(x, self.act)?,
        };
        Ok(match plus {
            Some(plus) => (plus + y)?,
            None => y,
        })
    }
}
