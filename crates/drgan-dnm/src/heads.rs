use crate::DiscriminatorConfig;
use crate::encoder::SLOPE;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use drgan_tensor::nn::{Conv2d, SpectralConv2d};
use drgan_tensor::ops::Activation;
use drgan_tensor::{Ctx, Result, expect_shape};

/// The last layer of both heads: a 4x4 convolution of the 4x4 map to one number, with a bias. Name: `outlogits.0`.
fn logits(channels: usize, vb: VarBuilder<'_>) -> Result<Conv2d> {
    let vb = vb.pp("outlogits.0");
    Conv2d::new((channels, 1), 4, 4, 0, vb.clone())?.and_bias(vb)
}

/// psi without a sentence: is the picture real? Name: `outlogits.0`.
#[derive(Clone, Debug)]
pub struct Unconditional {
    out: Conv2d,
}

impl Unconditional {
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(cfg: &DiscriminatorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self { out: logits(cfg.features(), vb)? })
    }

    /// # Shapes
    /// `features`, v, `(B, 8 ndf, 4, 4)`; logits `(B,)`, not squashed.
    ///
    /// # Errors
    /// Another shape.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        Ok(self.out.forward(features)?.flatten_all()?) // (B, 1, 1, 1) to (B,)
    }
}

/// psi beside a sentence: is the picture real and of this caption?
///
/// `[v, s at every pixel] -> spectral conv3x3 -> LeakyReLU -> logit`. Names: `jointConv.0.module`, `outlogits.0`.
///
/// # Paper
/// Section III; the sentence itself is joined (docs/divergences.md, conditional logit).
#[derive(Clone, Debug)]
pub struct Conditional {
    joint: SpectralConv2d,
    out: Conv2d,
    text_dim: usize,
}

impl Conditional {
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

    /// # Shapes
    /// `features`, v, `(B, 8 ndf, 4, 4)`, `sentence` `(B, D)`; logits `(B,)`, not squashed.
    ///
    /// # Errors
    /// Another shape.
    pub fn forward(&self, features: &Tensor, sentence: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let (b, d) = (features.dim(0)?, self.text_dim);
        expect_shape(
            "Discriminator: sentence",
            sentence,
            &[Some(b), Some(d)],
            &format!("(B = {b}, D = {d})"),
        )?;
        let joint = self.joint.forward_joint(features, sentence, Activation::LeakyRelu(SLOPE), ctx)?;
        Ok(self.out.forward(&joint)?.flatten_all()?)
    }
}
