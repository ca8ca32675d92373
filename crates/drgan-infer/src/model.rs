//! [`Model`]: everything that drawing a caption takes, owned, and cheap to clone.
use crate::{CaptionEncoder, Fit};
use candle_core::{DType, Device};
use drgan_sdm::{GeneratorConfig, StageGenerator};
use drgan_tensor::internal::fnv1a;
use drgan_tensor::weights::Tensors;
use drgan_tensor::{Error, FromConfig, ParamStore, Result, parameter_shapes};
use drgan_text::{ImageEncoderConfig, TextEncoderConfig};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The largest embedding, number of channels or length of a noise vector that a model may have.
const MOST_CHANNELS: usize = 65_536;
/// The most words of a caption that a model may read.
const MOST_WORDS: usize = 4_096;
/// The most residual blocks in a row.
const MOST_BLOCKS: usize = 256;
/// The largest side of an image that a model may draw, in pixels.
const MOST_PIXELS: usize = 8_192;

/// What a trained model is built from, beside its weights and its vocabulary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Where it comes from, e.g. the preset of its run; shown, never read.
    pub name: String,
    /// Generator steps behind it; 0 where nobody knows.
    pub step: u64,
    /// Captions are cut to this many known words, 1 to 4,096.
    pub max_words: usize,
    /// Text encoder; `vocab_size` is the tokenizer's.
    pub text: TextEncoderConfig,
    /// Generator; `text_dim` is the text encoder's `words_dim`.
    pub generator: GeneratorConfig,
    /// The image encoder that the text encoder was trained with, whose projection the model has; none where it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_encoder: Option<ImageEncoderConfig>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            step: 0,
            max_words: 18, // AttnGAN's for birds
            text: TextEncoderConfig::default(),
            generator: GeneratorConfig::default(),
            image_encoder: None,
        }
    }
}

impl ModelConfig {
    /// The side of the finest image, in pixels.
    pub fn side(&self) -> usize {
        self.generator.side(self.generator.stages.saturating_sub(1))
    }

    /// Checks that every field is in its range, before memory is spent on what they ask for: embeddings, channels and noise
    /// vectors up to 65,536, 4,096 words, 256 residual blocks and images of 8,192 pixels a side.
    ///
    /// # Errors
    /// [`Error::Config`] with the first field out of range.
    pub fn validate(&self) -> Result<()> {
        for (field, size, most) in [
            ("max_words", self.max_words, MOST_WORDS),
            ("text.embedding", self.text.embedding, MOST_CHANNELS),
            ("text.words_dim", self.text.words_dim, MOST_CHANNELS),
            ("generator.base", self.generator.base, MOST_PIXELS),
            ("generator.ngf", self.generator.ngf, MOST_CHANNELS),
            ("generator.text_dim", self.generator.text_dim, MOST_CHANNELS),
            ("generator.nz", self.generator.nz, MOST_CHANNELS),
            ("generator.nc", self.generator.nc, MOST_CHANNELS),
            ("generator.residual_blocks", self.generator.residual_blocks, MOST_BLOCKS),
        ] {
            if !(1..=most).contains(&size) {
                return Err(Error::Config { field, reason: format!("{size}; must be in 1..={most}") });
            }
        }
        self.text.validate()?;
        self.generator.validate()?;
        if self.side() > MOST_PIXELS {
            let reason = format!("images of {} pixels a side; must be {MOST_PIXELS} at most", self.side());
            return Err(Error::Config { field: "generator.stages", reason });
        }
        Ok(())
    }
}

/// A text encoder and a generator that were trained together.
///
/// Clones share configuration, vocabulary and weights. [`Sampler`](crate::Sampler) draws with it.
#[derive(Clone, Debug)]
pub struct Model {
    config: Arc<ModelConfig>,
    card: Arc<str>,
    captions: CaptionEncoder,
    generator: ParamStore,
    projection: Option<Arc<Tensors>>,
}

impl Model {
    /// Joins parts that belong together and are on one device. `generator` holds the weights of `config.generator`; it is
    /// shared, not copied. What `config` says of the captions is replaced by what `captions` is.
    pub fn new(mut config: ModelConfig, captions: CaptionEncoder, generator: ParamStore) -> Self {
        config.text.vocab_size = captions.tokenizer().vocab_size();
        config.generator.text_dim = config.text.words_dim;
        config.max_words = captions.max_words();
        config.image_encoder = None;
        Self { config: Arc::new(config), card: "".into(), captions, generator, projection: None }
    }

    /// The same model with the projection of the image encoder that its text encoder was trained with (DAMSM): drawing does not need
    /// it; measuring R-precision and training further do. The backbone is no part of it.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Input`]: no weights of a projection to the text encoder's `words_dim`.
    pub fn with_projection(self, encoder: ImageEncoderConfig, weights: Tensors) -> Result<Self> {
        let channels = |name: &str| weights.get(name).and_then(|t| t.dims().get(1).copied()).unwrap_or(0);
        let (map, pooled) = (channels("emb_features.weight"), channels("emb_cnn_code.weight"));
        let found = weights.iter().map(|(name, t)| (name.clone(), t.dims().to_vec())).collect();
        let dims = self.config.text.words_dim;
        let needed = parameter_shapes(|vb| drgan_text::Projection::new(map, pooled, dims, vb))?;
        Fit::new(needed, &found).exact()?;
        let config = ModelConfig { image_encoder: Some(encoder), ..(*self.config).clone() };
        Ok(Self { config: Arc::new(config), projection: Some(Arc::new(weights)), ..self })
    }

    /// The projection of the image encoder that the text encoder was trained with, `emb_features` and `emb_cnn_code` as in AttnGAN, if
    /// the model has it.
    pub fn projection(&self) -> Option<&Tensors> {
        self.projection.as_deref()
    }

    /// The same model with another card.
    #[must_use]
    pub fn with_card(self, card: impl Into<Arc<str>>) -> Self {
        Self { card: card.into(), ..self }
    }

    /// What people should know of the model, in Markdown: data, licence, recipe, figures, limits. Empty where nobody wrote it.
    pub fn card(&self) -> &str {
        &self.card
    }

    /// A store with the parameters of a generator in the type `dtype`, all zero until [`ParamStore::assign`] gives them values.
    ///
    /// # Errors
    /// A configuration value out of range.
    pub fn generator_weights(cfg: &GeneratorConfig, dtype: DType, device: &Device) -> Result<ParamStore> {
        let weights = ParamStore::zeroed();
        StageGenerator::from_config(cfg, weights.builder(dtype, device))?;
        Ok(weights)
    }

    /// A number that tells models apart: a hash of names and values of all weights.
    ///
    /// # Errors
    /// Whatever candle reports.
    pub fn fingerprint(&self) -> Result<u64> {
        let mut hashes = Vec::new();
        for store in [self.captions.weights(), &self.generator] {
            for (name, t) in store.views() {
                let values = t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                hashes.extend([fnv1a(name.as_bytes()), fnv1a(&bytes)].map(u64::to_le_bytes));
            }
        }
        Ok(fnv1a(&hashes.concat()))
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
