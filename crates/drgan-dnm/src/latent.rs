use crate::{DiscriminatorConfig, Encoded};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use drgan_tensor::nn::{BatchNorm, ConditionNet, Conv2d, ConvLayer};
use drgan_tensor::ops::Activation;
use drgan_tensor::{Ctx, Form, Gaussian, Result};

/// The encoding half of the VAE: features to a Gaussian, a sentence to its code.
///
/// `pooled v -> phi -> mu, logvar`; the sentence's code from a separate net of the same form. Names: `phi.fc`,
/// `ca_net.fc`.
///
/// In the released form one net serves both: the pooled deepest map is brought to a sentence's length
/// (`conv1x1 -> BN -> ReLU`, names `global_reduction.0`, `.1`) and given to `ca_net`.
///
/// # Paper
/// Section III, distribution normalization (docs/divergences.md, latent).
#[derive(Clone, Debug)]
pub struct LatentNet {
    image: ImageNet,
    text: ConditionNet,
}

#[derive(Clone, Debug)]
enum ImageNet {
    Own(ConditionNet),
    Shared(ConvLayer),
}

impl LatentNet {
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(cfg: &DiscriminatorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let image = match cfg.form {
            Form::Paper => ImageNet::Own(ConditionNet::new(cfg.features(), cfg.latent, vb.pp("phi"))?),
            Form::Released => {
                let vb = vb.pp("global_reduction");
                let conv =
                    Conv2d::pointwise(cfg.deepest(), cfg.text_dim, vb.pp("0"))?.and_bias(vb.pp("0"))?;
                let norm = BatchNorm::new(cfg.text_dim, vb.pp("1"))?;
                ImageNet::Shared(ConvLayer::normalised(conv, norm, Activation::Relu))
            }
        };
        Ok(Self { image, text: ConditionNet::new(cfg.text_dim, cfg.latent, vb.pp("ca_net"))? })
    }

    /// The pictures' Gaussian; mean and logarithm of the variance `(B, latent)`.
    ///
    /// # Errors
    /// Maps of another shape; in the released form in training, a batch of one.
    pub fn image(&self, seen: &Encoded, ctx: &Ctx) -> Result<Gaussian> {
        match &self.image {
            ImageNet::Own(phi) => phi.forward(&seen.features.mean((2, 3))?),
            ImageNet::Shared(reduction) => {
                let pooled = seen.deepest.mean_keepdim((2, 3))?; // (B, C, 1, 1)
                self.text.forward(&reduction.forward(&pooled, ctx)?.flatten_from(1)?)
            }
        }
    }

    /// The sentence's Gaussian.
    ///
    /// # Shapes
    /// `sentence` `(B, D)`; mean and logarithm of the variance `(B, latent)`.
    ///
    /// # Errors
    /// Another shape.
    pub fn text(&self, sentence: &Tensor) -> Result<Gaussian> {
        self.text.forward(sentence)
    }
}
