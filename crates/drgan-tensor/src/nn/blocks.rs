use super::{BatchNorm, Conv2d};
use crate::ops::{self, Activation};
use crate::{Ctx, Result};
use candle_core::Tensor;
use candle_nn::VarBuilder;

/// Twice the side: nearest x2, 3x3 convolution to `2 out`, BN, GLU. Names: `1` (convolution), `2` (BN).
#[derive(Clone, Debug)]
pub struct UpBlock {
    conv: Conv2d,
    bn: BatchNorm,
}

impl UpBlock {
    /// From `c_in` to `c_out` channels.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(c_in: usize, c_out: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            conv: Conv2d::same3x3(c_in, 2 * c_out, vb.pp("1"))?,
            bn: BatchNorm::new(2 * c_out, vb.pp("2"))?,
        })
    }

    /// `x` `(B, c_in, H, W)` to `(B, c_out, 2 H, 2 W)`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        self.bn.forward(&ops::up_conv2d(x, self.conv.weight())?, Activation::Glu, ctx)
    }
}

/// `x + BN(conv(GLU(BN(conv(x)))))`. Names: `block.0`, `block.1`, `block.3`, `block.4`.
#[derive(Clone, Debug)]
pub struct ResidualBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
}

impl ResidualBlock {
    /// `channels` in and out.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(channels: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let vb = vb.pp("block");
        Ok(Self {
            conv1: Conv2d::same3x3(channels, 2 * channels, vb.pp("0"))?,
            bn1: BatchNorm::new(2 * channels, vb.pp("1"))?,
            conv2: Conv2d::same3x3(channels, channels, vb.pp("3"))?,
            bn2: BatchNorm::new(channels, vb.pp("4"))?,
        })
    }

    /// `count` blocks under `0`, `1`, ....
    ///
    /// # Errors
    /// As [`ResidualBlock::new`].
    pub fn chain(count: usize, channels: usize, vb: VarBuilder<'_>) -> Result<Vec<Self>> {
        (0..count).map(|i| Self::new(channels, vb.pp(i))).collect()
    }

    /// `x` `(B, C, H, W)`; the same shape.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let y = self.bn1.forward(&self.conv1.forward(x)?, Activation::Glu, ctx)?;
        let y = self.bn2.forward(&self.conv2.forward(&y)?, Activation::Identity, ctx)?;
        Ok((x + y)?)
    }
}
