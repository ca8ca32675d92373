//! Encoding half of the discriminator's VAE: features and sentences to Gaussians.
use crate::{DiscriminatorConfig, EncodedImages};
use candle_core::Tensor;
use drgan_tensor::nn::{BatchNorm, ConditionNet, Conv2d, ConvLayer};
use drgan_tensor::ops::{self, Activation};
use drgan_tensor::{Ctx, Gaussian, Result, VarBuilder, Variant};

/// The encoding half of the VAE: features to the Gaussian of the latent z*, sentences to the Gaussian of the code c_s.
///
/// `pooled v -> phi -> mu, logvar`; the sentence code comes from a separate network of the same form. Names: `phi.fc`,
/// `ca_net.fc`.
///
/// In the released form one network serves both: the pooled deepest map is brought to the length of a sentence
/// (`conv1x1 -> BN -> ReLU`, names `global_reduction.0`, `.1`) and given to `ca_net`.
///
/// # Paper
/// Section III, distribution normalization (docs/divergences.md, latent).
#[derive(Clone, Debug)]
pub struct LatentEncoder {
    image: LatentHead,
    text: ConditionNet,
}

/// From pooled features to the latent.
#[derive(Clone, Debug)]
enum LatentHead {
    /// The paper's phi: a network of its own.
    Own(ConditionNet),
    /// The released code's reduction to the length of a sentence; the sentences' network follows it.
    Shared(ConvLayer),
}

impl LatentEncoder {
    /// Both networks, of the configuration's sizes.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(cfg: &DiscriminatorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let image = match cfg.form {
            Variant::Paper => LatentHead::Own(ConditionNet::new(cfg.features(), cfg.latent, vb.pp("phi"))?),
            Variant::Released => {
                let vb = vb.pp("global_reduction");
                let conv = Conv2d::biased((cfg.deepest(), cfg.text_dim), 1, 1, 0, vb.pp("0"))?;
                let norm = BatchNorm::new(cfg.text_dim, vb.pp("1"))?;
                LatentHead::Shared(ConvLayer::normalized(conv, norm, Activation::Relu))
            }
        };
        Ok(Self { image, text: ConditionNet::new(cfg.text_dim, cfg.latent, vb.pp("ca_net"))? })
    }

    /// The Gaussian of the images' latent; mean and logarithm of the variance `(B, latent)`.
    ///
    /// # Errors
    /// Maps of another shape; in the released form in training, a batch of one.
    pub fn image(&self, encoded: &EncodedImages, ctx: &Ctx) -> Result<Gaussian> {
        match &self.image {
            LatentHead::Own(phi) => phi.forward(&ops::mean_pixels(&encoded.features)?),
            LatentHead::Shared(reduction) => {
                let pooled = encoded.deepest.mean_keepdim((2, 3))?; // (B, C, 1, 1)
                self.text.forward(&reduction.forward(&pooled, ctx)?.flatten_from(1)?)
            }
        }
    }

    /// The Gaussian of the sentences' code.
    ///
    /// # Shapes
    /// `sentence` `(B, D)`; mean and logarithm of the variance `(B, latent)`.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn text(&self, sentence: &Tensor) -> Result<Gaussian> {
        self.text.forward(sentence)
    }
}
