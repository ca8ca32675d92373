use crate::{Result, ops};
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

/// A feature map x divided by a mask `M = sigmoid(k logits)` into what the caption speaks of and the rest; every map
/// `(B, C, H, W)`. Only the key part is at hand: sampling needs no more.
#[derive(Clone, Debug)]
pub struct MaskedSplit {
    /// `x M`.
    pub key: Tensor,
    whole: Tensor,
    logits: Tensor,
    scale: f64,
}

impl MaskedSplit {
    /// Of `whole`, x; `scale`, k.
    ///
    /// # Errors
    /// Shapes that differ.
    pub fn new(whole: &Tensor, logits: &Tensor, scale: f64) -> Result<Self> {
        let key = ops::gate(whole, logits, scale)?;
        Ok(Self { key, whole: whole.clone(), logits: logits.clone(), scale })
    }

    /// `x (1 - M)`, what the key part leaves of x; computed now.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn non_key(&self) -> Result<Tensor> {
        Ok(ops::gate(&self.whole, &self.logits, -self.scale)?)
    }

    /// M, in `[0, 1]`; computed now.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn mask(&self) -> Result<Tensor> {
        Ok(ops::gate(&self.logits.ones_like()?, &self.logits, self.scale)?)
    }
}

/// The Semantic Disentangling Module's view of one stage.
#[derive(Clone, Debug)]
pub struct Disentangled {
    /// Of H: H+ and H-.
    pub image: MaskedSplit,
    /// Of Q: Q+ and Q-.
    pub context: MaskedSplit,
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
