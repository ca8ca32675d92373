//! What a network is used as: the traits by which trainer and sampler know the models, and how a model is built.
use crate::{
    Ctx, DiscriminatorOutput, GeneratorOutput, ImageFeatures, Result, TextFeatures, TokenBatch, VarBuilder,
};
use candle_core::Tensor;
use serde::{Serialize, de::DeserializeOwned};

/// A module that can be built from its configuration alone, given somewhere to keep its parameters.
pub trait FromConfig: Sized {
    /// Sizes and choices as plain data, as the TOML file and the checkpoint hold them.
    type Config: Serialize + DeserializeOwned + Clone + Default + std::fmt::Debug;

    /// Builds the module, which asks `vb` for every parameter and buffer under its prefix.
    ///
    /// # Errors
    /// A configuration value out of range, a parameter missing or of another shape.
    fn from_config(cfg: &Self::Config, vb: VarBuilder<'_>) -> Result<Self>;
}

/// Encodes captions as features.
pub trait TextEncoder {
    /// Word and sentence features of `tokens`; [`TextFeatures`] has their shapes.
    ///
    /// # Errors
    /// Token ids outside the vocabulary, lengths outside `1..=T`.
    fn encode_text(&self, tokens: &TokenBatch, ctx: &mut Ctx) -> Result<TextFeatures>;
}

/// Encodes images as features.
pub trait ImageEncoder {
    /// Local and global features of `images` `(B, 3, H, W)` in `[-1, 1]`; [`ImageFeatures`] has their shapes.
    ///
    /// # Errors
    /// `images` of another shape.
    fn encode_image(&self, images: &Tensor) -> Result<ImageFeatures>;
}

/// Draws images from noise and text.
pub trait Generator {
    /// The images of all stages for noise `z` `(B, nz)`, standard normal, and the features `text` of B captions.
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

/// Scores whether images of one size are real and match a sentence.
pub trait Discriminator {
    /// Side of the images that this discriminator takes, in pixels.
    fn side(&self) -> usize;

    /// Logits and the normalized latent of `images` `(B, 3, side, side)` with `sentence` `(B, D)`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn discriminate(&self, images: &Tensor, sentence: &Tensor, ctx: &mut Ctx) -> Result<DiscriminatorOutput>;

    /// Conditional logits `(B,)` of `features`, from [`DiscriminatorOutput`], with other sentences: the wrong pairs.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn match_sentence(&self, features: &Tensor, sentence: &Tensor, ctx: &mut Ctx) -> Result<Tensor>;
}
