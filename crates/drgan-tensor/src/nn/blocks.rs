//! The two blocks that generator and decoder are built of: upsampling and residual.
//!
//! ```
//! use drgan_tensor::prelude::*;
//!
//! let store = ParamStore::seeded(1);
//! let vb = store.builder(DType::F32, &Device::Cpu);
//! let up = nn::UpBlock::new(4, 2, vb.pp("up"))?;
//! let residual = nn::ResidualBlock::new(2, vb.pp("residual"))?;
//! let mut ctx = Ctx::new(Mode::Train, 7);
//! let x = ctx.randn((1, 4, 8, 8), DType::F32, &Device::Cpu)?;
//! let y = residual.forward(&up.forward(&x, &ctx)?, &ctx)?;
//! assert_eq!(y.dims(), [1, 2, 16, 16]);
//! # Ok::<(), drgan_tensor::Error>(())
//! ```
use super::batch_norm::BatchNorm;
use super::conv::Conv2d;
use super::conv_layer::ConvLayer;
use crate::ops::{Activation, Precision};
use crate::{Ctx, Result, VarBuilder};
use candle_core::Tensor;

/// Twice the side: nearest-neighbour x2 upsampling, 3x3 convolution to `2 c_out` channels, batch norm, GLU.
///
/// Names: `1` (convolution), `2` (batch norm).
#[derive(Clone, Debug)]
pub struct UpBlock(ConvLayer);

impl UpBlock {
    /// A block from `c_in` to `c_out` channels.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(c_in: usize, c_out: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let conv = Conv2d::same3x3(c_in, 2 * c_out, vb.pp("1"))?;
        let norm = BatchNorm::new(2 * c_out, vb.pp("2"))?;
        Ok(Self(ConvLayer::normalized(conv, norm, Activation::Glu).upsampled()))
    }

    /// A copy for inference: [`ConvLayer::pack`] of its layer.
    ///
    /// # Errors
    /// As [`ConvLayer::pack`].
    pub fn pack(&self, precision: Precision) -> Result<Self> {
        Ok(Self(self.0.pack(precision)?))
    }

    /// `x` `(B, c_in, H, W)` to `(B, c_out, 2 H, 2 W)`.
    ///
    /// # Errors
    /// `x` does not fit; in training, fewer than two values per channel; a packed copy in training.
    pub fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        self.0.forward(x, ctx)
    }
}

/// `x + BN(conv(GLU(BN(conv(x)))))` with 3x3 convolutions. Names: `block.0`, `block.1`, `block.3`, `block.4`.
#[derive(Clone, Debug)]
pub struct ResidualBlock([ConvLayer; 2]);

impl ResidualBlock {
    /// A residual block with `channels` in and out.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(channels: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let vb = vb.pp("block");
        let layer = |out: usize, at: usize, act| -> Result<ConvLayer> {
            let conv = Conv2d::same3x3(channels, out, vb.pp(at))?;
            Ok(ConvLayer::normalized(conv, BatchNorm::new(out, vb.pp(at + 1))?, act))
        };
        Ok(Self([layer(2 * channels, 0, Activation::Glu)?, layer(channels, 3, Activation::Identity)?]))
    }

    /// `count` blocks under the names `0`, `1`, ....
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn chain(count: usize, channels: usize, vb: VarBuilder<'_>) -> Result<Vec<Self>> {
        (0..count).map(|i| Self::new(channels, vb.pp(i))).collect()
    }

    /// A copy for inference: [`ConvLayer::pack`] of both layers.
    ///
    /// # Errors
    /// As [`ConvLayer::pack`].
    pub fn pack(&self, precision: Precision) -> Result<Self> {
        let [first, second] = &self.0;
        Ok(Self([first.pack(precision)?, second.pack(precision)?]))
    }

    /// `x` `(B, C, H, W)`; the same shape.
    ///
    /// # Errors
    /// `x` does not fit; in training, fewer than two values per channel; a packed copy in training.
    pub fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let [first, second] = &self.0;
        second.forward_residual(&first.forward(x, ctx)?, x, ctx)
    }
}
