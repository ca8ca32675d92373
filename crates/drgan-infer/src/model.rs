//! [`Model`]: everything that drawing a caption takes, owned, and cheap to clone.
use crate::CaptionEncoder;
use candle_core::{DType, Device};
use drgan_sdm::{GeneratorConfig, StageGenerator};
use drgan_tensor::{FromConfig, ParamStore, Result};
use drgan_text::TextEncoderConfig;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a trained model is built from, beside its weights and its vocabulary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Where it comes from, e.g. the preset of its run; shown, never read.
    pub name: String,
    /// Captions are cut to this many known words, at least 1.
    pub max_words: usize,
    /// Text encoder; `vocab_size` is the tokenizer's.
    pub text: TextEncoderConfig,
    /// Generator; `text_dim` is the text encoder's `words_dim`.
    pub generator: GeneratorConfig,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            max_words: 18, // AttnGAN's for birds
            text: TextEncoderConfig::default(),
            generator: GeneratorConfig::default(),
        }
    }
}

impl ModelConfig {
    /// The side of the finest image, in pixels.
    pub fn side(&self) -> usize {
        self.generator.side(self.generator.stages.saturating_sub(1))
    }
}

/// A text encoder and a generator that were trained together.
///
/// Clones share configuration, vocabulary and weights. [`Sampler`](crate::Sampler) draws with it.
#[derive(Clone, Debug)]
pub struct Model {
    config: Arc<ModelConfig>,
    captions: CaptionEncoder,
    generator: ParamStore,
}

impl Model {
    /// Joins parts that belong together and are on one device. `generator` holds the weights of `config.generator`; it is
    /// shared, not copied. What `config` says of the captions is replaced by what `captions` is.
    pub fn new(mut config: ModelConfig, captions: CaptionEncoder, generator: ParamStore) -> Self {
        config.text.vocab_size = captions.tokenizer().vocab_size();
        config.generator.text_dim = config.text.words_dim;
        config.max_words = captions.max_words();
        Self { config: Arc::new(config), captions, generator }
    }

    /// A store with the parameters of a generator, all zero until [`ParamStore::assign`] gives them values.
    ///
    /// # Errors
    /// A configuration value out of range.
    pub fn generator_weights(cfg: &GeneratorConfig, device: &Device) -> Result<ParamStore> {
        let weights = ParamStore::zeroed();
        StageGenerator::from_config(cfg, weights.builder(DType::F32, device))?;
        Ok(weights)
    }

    /// The configuration that the model is built from, derived sizes filled in.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The tokenizer with the text encoder.
    pub fn captions(&self) -> &CaptionEncoder {
        &self.captions
    }

    /// The generator's weights.
    pub fn generator(&self) -> &ParamStore {
        &self.generator
    }

    /// The device that the model computes on.
    pub fn device(&self) -> &Device {
        self.captions.device()
    }
}
