//! The discriminator's heads: features to logits, alone and beside a sentence.
use crate::DiscriminatorConfig;
use candle_core::Tensor;
use drgan_tensor::nn::{Conv2d, LEAKY_RELU_SLOPE, SpectralConv2d};
use drgan_tensor::ops::Activation;
use drgan_tensor::{Ctx, Result, VarBuilder, expect_shape};

/// The last layer of both heads: a 4x4 convolution with a bias, from the 4x4 map to one logit. Name: `outlogits.0`.
fn logits(channels: usize, vb: VarBuilder<'_>) -> Result<Conv2d> {
    Conv2d::biased((channels, 1), 4, 4, 0, vb.pp("outlogits.0"))
}

/// psi without a sentence: the logit that an image is real. Name: `outlogits.0`.
#[derive(Clone, Debug)]
pub struct UnconditionalHead {
    out: Conv2d,
}

impl UnconditionalHead {
    /// A head for features of the configuration's width.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(cfg: &DiscriminatorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self { out: logits(cfg.features(), vb)? })
    }

    /// Logits of `features`, without a sigmoid.
    ///
    /// # Shapes
    /// `features` `(B, 8 ndf, 4, 4)`; the logits `(B,)`.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        Ok(self.out.forward(features)?.flatten_all()?) // (B, 1, 1, 1) to (B,)
    }
}

/// psi beside a sentence: the logit that an image is real and shows what the caption says.
///
/// `[v, s at every pixel] -> spectral conv3x3 -> LeakyReLU -> logit`. Names: `jointConv.0.module`, `outlogits.0`.
///
/// # Paper
/// Section III; the sentence itself is joined (docs/divergences.md, conditional logit).
#[derive(Clone, Debug)]
pub struct ConditionalHead {
    joint: SpectralConv2d,
    out: Conv2d,
    text_dim: usize,
}

impl ConditionalHead {
    /// A head for features and sentences of the configuration's widths.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(cfg: &DiscriminatorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let v = cfg.features();
        Ok(Self {
            joint: SpectralConv2d::new((v + cfg.text_dim, v), 3, 1, 1, vb.pp("jointConv.0.module"))?,
            out: logits(v, vb)?,
            text_dim: cfg.text_dim,
        })
    }

    /// Logits of `features` beside `sentence`, without a sigmoid.
    ///
    /// # Shapes
    /// `features` `(B, 8 ndf, 4, 4)`, `sentence` `(B, D)`; the logits `(B,)`.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn forward(&self, features: &Tensor, sentence: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let (b, d) = (features.dim(0)?, self.text_dim);
        expect_shape(
            "Discriminator: sentence",
            sentence,
            &[Some(b), Some(d)],
            &format!("(B = {b}, D = {d})"),
        )?;
        let joint =
            self.joint.forward_joint(features, sentence, Activation::LeakyRelu(LEAKY_RELU_SLOPE), ctx)?;
        Ok(self.out.forward(&joint)?.flatten_all()?)
    }
}
