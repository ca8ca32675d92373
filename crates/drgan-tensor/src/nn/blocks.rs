use super::{BatchNorm, Conv2d, ConvLayer};
use crate::ops::{Activation, Precision};
use crate::{Ctx, Result};
use candle_core::Tensor;
use candle_nn::VarBuilder;

/// Twice the side: nearest x2, 3x3 convolution to `2 out`, BN, GLU. Names: `1` (convolution), `2` (BN).
#[derive(Clone, Debug)]
pub struct UpBlock(ConvLayer);

impl UpBlock {
    /// From `c_in` to `c_out` channels.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(c_in: usize, c_out: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let conv = Conv2d::same3x3(c_in, 2 * c_out, vb.pp("1"))?;
        let norm = BatchNorm::new(2 * c_out, vb.pp("2"))?;
        Ok(Self(ConvLayer::normalised(conv, norm, Activation::Glu).doubled()))
    }

    /// See [`ConvLayer::pack`].
    ///
    /// # Errors
    /// As there.
    pub fn pack(&self, precision: Precision) -> Result<Self> {
        Ok(Self(self.0.pack(precision)?))
    }

    /// `x` `(B, c_in, H, W)` to `(B, c_out, 2 H, 2 W)`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        self.0.forward(x, ctx)
    }
}

/// `x + BN(conv(GLU(BN(conv(x)))))`. Names: `block.0`, `block.1`, `block.3`, `block.4`.
#[derive(Clone, Debug)]
pub struct ResidualBlock([ConvLayer; 2]);

impl ResidualBlock {
    /// `channels` in and out.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(channels: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let vb = vb.pp("block");
        let layer = |out: usize, at: usize, act| -> Result<ConvLayer> {
            let conv = Conv2d::same3x3(channels, out, vb.pp(at))?;
            Ok(ConvLayer::normalised(conv, BatchNorm::new(out, vb.pp(at + 1))?, act))
        };
        Ok(Self([layer(2 * channels, 0, Activation::Glu)?, layer(channels, 3, Activation::Identity)?]))
    }

    /// `count` blocks under `0`, `1`, ....
    ///
    /// # Errors
    /// As [`ResidualBlock::new`].
    pub fn chain(count: usize, channels: usize, vb: VarBuilder<'_>) -> Result<Vec<Self>> {
        (0..count).map(|i| Self::new(channels, vb.pp(i))).collect()
    }

    /// See [`ConvLayer::pack`].
    ///
    /// # Errors
    /// As there.
    pub fn pack(&self, precision: Precision) -> Result<Self> {
        let [first, second] = &self.0;
        Ok(Self([first.pack(precision)?, second.pack(precision)?]))
    }

    /// `x` `(B, C, H, W)`; the same shape.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let [first, second] = &self.0;
        second.forward_onto(x, &first.forward(x, ctx)?, ctx)
    }
}
