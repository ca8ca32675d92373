use crate::DiscriminatorConfig;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use drgan_tensor::nn::ConditionNet;
use drgan_tensor::{Gaussian, Result};

/// The encoding half of the VAE: features to a Gaussian, a sentence to its code.
///
/// `pooled v -> phi -> mu, logvar`; `c_s` = the mean of a separate net of the same form over the sentence. Names:
/// `phi.fc`, `ca_net.fc`.
///
/// # Paper
/// Section III, distribution normalization. The released code gives both to one net and samples the sentence's
/// code (docs/divergences.md, latent).
#[derive(Clone, Debug)]
pub struct LatentNet {
    image: ConditionNet,
    text: ConditionNet,
}

impl LatentNet {
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(cfg: &DiscriminatorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            image: ConditionNet::new(cfg.features(), cfg.latent, vb.pp("phi"))?,
            text: ConditionNet::new(cfg.text_dim, cfg.latent, vb.pp("ca_net"))?,
        })
    }

    /// The features' Gaussian.
    ///
    /// # Shapes
    /// `features`, v, `(B, 8 ndf, 4, 4)`; mean and logarithm of the variance `(B, latent)`.
    ///
    /// # Errors
    /// Another shape.
    pub fn image(&self, features: &Tensor) -> Result<Gaussian> {
        self.image.forward(&features.mean((2, 3))?)
    }

    /// The sentence's code c_s.
    ///
    /// # Shapes
    /// `sentence` `(B, D)`; the result `(B, latent)`.
    ///
    /// # Errors
    /// Another shape.
    pub fn text(&self, sentence: &Tensor) -> Result<Tensor> {
        Ok(self.text.forward(sentence)?.mu)
    }
}
