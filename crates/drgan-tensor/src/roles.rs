use crate::{
    Ctx, DiscriminatorOutput, GeneratorOutput, ImageFeatures, Result, TextFeatures, TokenBatch, VarBuilder,
};
use candle_core::Tensor;
use serde::{Serialize, de::DeserializeOwned};

/// A module that can be built from its configuration alone, given somewhere to keep its parameters.
pub trait FromConfig: Sized {
    /// Plain data; what the TOML file, the checkpoint and the model card all hold.
    type Config: Serialize + DeserializeOwned + Clone + Default + std::fmt::Debug;

    /// Creates (or looks up) every parameter under `vb`'s prefix.
    ///
    /// # Errors
    /// A configuration value out of range, a parameter missing or of another shape.
    fn from_config(cfg: &Self::Config, vb: VarBuilder<'_>) -> Result<Self>;
}

/// Captions to features.
pub trait TextEncoder {
    /// See [`TextFeatures`] for shapes.
    ///
    /// # Errors
    /// Token ids outside the vocabulary, lengths outside `1..=T`.
    fn encode_text(&self, tokens: &TokenBatch, ctx: &mut Ctx) -> Result<TextFeatures>;
}

/// Images to features.
pub trait ImageEncoder {
    /// `images` `(B, 3, H, W)` in `[-1, 1]`; see [`ImageFeatures`] for the result.
    ///
    /// # Errors
    /// Another shape.
    fn encode_image(&self, images: &Tensor) -> Result<ImageFeatures>;
}

/// Noise and text to images.
pub trait Generator {
    /// `z` `(B, nz)` standard normal. Never sees a real image: losses compare afterwards.
    ///
    /// # Errors
    /// Shapes that do not fit the configuration.
    fn generate(&self, z: &Tensor, text: &TextFeatures, ctx: &mut Ctx) -> Result<GeneratorOutput>;

    /// The image head of `stage` alone, on a feature map `(B, ngf, side, side)`: the decoder half of the siamese pair
    /// that the real image path (RIRM) shares.
    ///
    /// # Errors
    /// No such stage, or another shape.
    fn decode(&self, stage: usize, features: &Tensor, ctx: &Ctx) -> Result<Tensor>;
}

/// Pictures of one size to logits.
pub trait Discriminator {
    /// Side length this discriminator reads.
    fn side(&self) -> usize;

    /// `images` `(B, 3, side, side)`, `sentence` `(B, D)`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn discriminate(&self, images: &Tensor, sentence: &Tensor, ctx: &mut Ctx) -> Result<DiscriminatorOutput>;

    /// Conditional logits `(B,)` for `features` of [`DiscriminatorOutput`] beside other sentences: the wrong pairs.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn match_sentence(&self, features: &Tensor, sentence: &Tensor, ctx: &mut Ctx) -> Result<Tensor>;
}
