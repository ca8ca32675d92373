use crate::Result;
use candle_core::Tensor;

/// A padded batch of captions.
#[derive(Clone, Debug)]
pub struct TokenBatch {
    /// Token ids, `(B, T)`, `u32`; 0 is padding.
    pub ids: Tensor,
    /// True lengths, one a caption, each in `1..=T`.
    pub lens: Vec<usize>,
}

/// What a text encoder gives.
#[derive(Clone, Debug)]
pub struct TextFeatures {
    /// Word features W, `(B, D, T)`, zero at padding.
    pub words: Tensor,
    /// Sentence embedding s, `(B, D)`.
    pub sentence: Tensor,
    /// `(B, T)`, `u8`, 1 at padding.
    pub mask: Tensor,
    /// True lengths, one a caption.
    pub lens: Vec<usize>,
}

impl TextFeatures {
    /// The same values as constants of the graph.
    pub fn detach(&self) -> Self {
        Self { words: self.words.detach(), sentence: self.sentence.detach(), ..self.clone() }
    }
}

/// What an image encoder gives.
#[derive(Clone, Debug)]
pub struct ImageFeatures {
    /// Local features, `(B, D, h, w)`.
    pub regions: Tensor,
    /// Global feature, `(B, D)`.
    pub code: Tensor,
}

/// A diagonal Gaussian.
#[derive(Clone, Debug)]
pub struct Gaussian {
    /// Mean, `(B, D)`.
    pub mu: Tensor,
    /// Logarithm of the variance, `(B, D)`.
    pub logvar: Tensor,
}

impl Gaussian {
    /// `mu + eps exp(logvar / 2)`: the reparametrisation, `eps` `(B, D)` standard normal.
    ///
    /// # Errors
    /// `eps` of another shape.
    pub fn sample(&self, eps: &Tensor) -> Result<Tensor> {
        Ok((&self.mu + (eps * (&self.logvar * 0.5)?.exp()?)?)?)
    }
}

/// The Semantic Disentangling Module's view of one stage; every map `(B, C, H, W)`.
#[derive(Clone, Debug)]
pub struct Disentangled {
    /// H+ = H * M^H.
    pub key_image: Tensor,
    /// H- = H - H+.
    pub non_key_image: Tensor,
    /// Q+ = Q * M^Q.
    pub key_context: Tensor,
    /// Q- = Q - Q+.
    pub non_key_context: Tensor,
    /// M^H, in `[0, 1]`.
    pub mask_image: Tensor,
    /// M^Q, in `[0, 1]`.
    pub mask_context: Tensor,
}

/// One generator stage: the picture, and what losses and viewers want to see of how it came about.
#[derive(Clone, Debug)]
pub struct StageOutput {
    /// `(B, 3, side, side)` in `[-1, 1]`.
    pub image: Tensor,
    /// Word attention `(B, T, side / 2, side / 2)`, summing to 1 over words; none at stage 0.
    pub attention: Option<Tensor>,
    /// None at stage 0.
    pub disentangled: Option<Disentangled>,
}

/// All stages, coarse to fine, and the conditioning posterior.
#[derive(Clone, Debug)]
pub struct GeneratorOutput {
    /// Coarse to fine.
    pub stages: Vec<StageOutput>,
    /// Conditioning augmentation's posterior, `(B, nc)`.
    pub condition: Gaussian,
}

/// What a discriminator says of a batch of pictures. Logits, not probabilities.
#[derive(Clone, Debug)]
pub struct DiscriminatorOutput {
    /// v, `(B, 8 ndf, 4, 4)`.
    pub features: Tensor,
    /// Real or fake, `(B,)`.
    pub unconditional: Tensor,
    /// Real and matching the sentence, `(B,)`.
    pub conditional: Tensor,
    /// The normalised latent of the Distribution Normalization Module, `(B, 100)`.
    pub latent: Gaussian,
    /// x*, `(B, 3, S, S)`.
    pub reconstruction: Tensor,
}
