use super::{BatchNorm, Conv2d};
use crate::ops::{self, Activation};
use crate::{Ctx, Result};
use candle_core::Tensor;

/// A convolution, perhaps batch-normalised, and an activation.
#[derive(Clone, Debug)]
pub struct ConvLayer {
    conv: Conv2d,
    norm: Option<BatchNorm>,
    act: Activation,
}

impl ConvLayer {
    /// `act(conv(x))`.
    pub fn plain(conv: Conv2d, act: Activation) -> Self {
        Self { conv, norm: None, act }
    }

    /// `act(BN(conv(x)))`.
    pub fn normalised(conv: Conv2d, norm: BatchNorm, act: Activation) -> Self {
        Self { conv, norm: Some(norm), act }
    }

    /// # Shapes
    /// `x` `(B, C, H, W)`.
    ///
    /// # Errors
    /// `x` does not fit; normalised in training, fewer than two values a channel.
    pub fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let y = self.conv.forward(x)?;
        match &self.norm {
            Some(norm) => norm.forward(&y, self.act, ctx),
            None => Ok(ops::activate(&y, self.act)?),
        }
    }
}
