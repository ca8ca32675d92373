//! What the networks exchange, with the shape of every tensor.
use crate::{Result, ops};
use candle_core::Tensor;

/// A padded batch of captions.
#[derive(Clone, Debug)]
pub struct TokenBatch {
    /// Token ids, `(B, T)`, `u32`; 0 is padding. Best on the host, where they are checked and compared.
    pub ids: Tensor,
    /// Number of tokens of each caption, in `1..=T`.
    pub lens: Vec<usize>,
}

/// A text encoder's features of a batch of captions.
#[derive(Clone, Debug)]
pub struct TextFeatures {
    /// Word features W, `(B, D, T)`, zero at padding.
    pub words: Tensor,
    /// Sentence embedding s, `(B, D)`.
    pub sentence: Tensor,
    /// Padding mask, `(B, T)`, `u8`: 1 at padding.
    pub mask: Tensor,
    /// Number of words of each caption, in `1..=T`.
    pub lens: Vec<usize>,
}

impl TextFeatures {
    /// The same values outside the graph: no gradient flows back into the text encoder.
    pub fn detach(&self) -> Self {
        Self { words: self.words.detach(), sentence: self.sentence.detach(), ..self.clone() }
    }
}

/// An image encoder's features of a batch of images.
#[derive(Clone, Debug)]
pub struct ImageFeatures {
    /// Local features, one per region of the image, `(B, D, h, w)`.
    pub regions: Tensor,
    /// Global feature of the whole image, `(B, D)`.
    pub code: Tensor,
}

/// A Gaussian with a diagonal covariance, one per sample of the batch.
#[derive(Clone, Debug)]
pub struct Gaussian {
    /// Mean of each Gaussian, `(B, D)`.
    pub mu: Tensor,
    /// Logarithm of each Gaussian's variance, `(B, D)`.
    pub logvar: Tensor,
}

impl Gaussian {
    /// `mu + eps exp(logvar / 2)`, `(B, D)`: a sample by the reparametrization trick from standard normal `eps` `(B, D)`.
    ///
    /// # Errors
    /// `eps` of another shape.
    pub fn sample(&self, eps: &Tensor) -> Result<Tensor> {
        Ok(ops::gaussian_sample(&self.mu, &self.logvar, eps)?)
    }
}

/// A feature map x split by a mask `M = sigmoid(k logits)` into the part that the caption describes, `x M`, and the rest,
/// `x (1 - M)`; every map is `(B, C, H, W)`. Only the key part is computed at once: sampling needs no more.
#[derive(Clone, Debug)]
pub struct MaskedSplit {
    /// The key part, `x M`.
    pub key: Tensor,
    whole: Tensor,
    logits: Tensor,
    scale: f64,
}

impl MaskedSplit {
    /// Splits `whole` (x) by the mask of `logits` and `scale` (k).
    ///
    /// # Errors
    /// Shapes that differ.
    pub fn new(whole: &Tensor, logits: &Tensor, scale: f64) -> Result<Self> {
        let key = ops::gate(whole, logits, scale)?;
        Ok(Self { key, whole: whole.clone(), logits: logits.clone(), scale })
    }

    /// The non-key part, `x (1 - M)`; computed by this call.
    ///
    /// # Errors
    /// What the device reports.
    pub fn non_key(&self) -> Result<Tensor> {
        Ok(ops::gate(&self.whole, &self.logits, -self.scale)?)
    }

    /// The mask M, in `[0, 1]`; computed by this call.
    ///
    /// # Errors
    /// What the device reports.
    pub fn mask(&self) -> Result<Tensor> {
        Ok(ops::gate(&self.logits.ones_like()?, &self.logits, self.scale)?)
    }
}

/// What the Semantic Disentangling Module makes of one stage's feature maps.
#[derive(Clone, Debug)]
pub struct Disentangled {
    /// The image features H, split into H+ and H-.
    pub image: MaskedSplit,
    /// The word-context features Q, split into Q+ and Q-.
    pub context: MaskedSplit,
}

/// One generator stage: its image, and the intermediate values that losses and displays use.
#[derive(Clone, Debug)]
pub struct StageOutput {
    /// The image, `(B, 3, side, side)` in `[-1, 1]`.
    pub image: Tensor,
    /// Word attention, `(B, T, side / 2, side / 2)`, summing to 1 over words; `None` at stage 0.
    pub attention: Option<Tensor>,
    /// Key and non-key features; `None` at stage 0.
    pub disentangled: Option<Disentangled>,
}

/// A generator's output: all stages, and the posterior of conditioning augmentation.
#[derive(Clone, Debug)]
pub struct GeneratorOutput {
    /// The stages, coarse to fine.
    pub stages: Vec<StageOutput>,
    /// The posterior of conditioning augmentation, `(B, nc)`.
    pub condition: Gaussian,
}

/// A discriminator's output for a batch of images. Logits, not probabilities.
#[derive(Clone, Debug)]
pub struct DiscriminatorOutput {
    /// The image features v, `(B, 8 ndf, 4, 4)`.
    pub features: Tensor,
    /// Logit of being real, `(B,)`.
    pub unconditional: Tensor,
    /// Logit of being real and matching the sentence, `(B,)`.
    pub conditional: Tensor,
    /// The latent of the Distribution Normalization Module, `(B, latent)`.
    pub latent: Gaussian,
    /// The image rebuilt from the latent, x*, `(B, 3, side, side)`.
    pub reconstruction: Tensor,
}
