//! The settings of a run as plain data: one struct per section of the TOML file.
use super::recipe::Recipe;
use crate::error::TrainError;
use crate::optim::OptimizerConfig;
use drgan_data::{BatchSpec, LoaderConfig, Shard};
use drgan_dnm::DiscriminatorConfig;
use drgan_infer::ModelConfig;
use drgan_losses::damsm::Gammas;
use drgan_sdm::GeneratorConfig;
use drgan_tensor::device::{DeviceRequest, FloatType, Opened};
use drgan_tensor::ops::Precision;
use drgan_text::{BackboneKind, ImageEncoderConfig, TextEncoderConfig};
use serde::{Deserialize, Serialize};

/// Every setting of a run. Sizes that follow from others (see [`RunConfig::from_toml`]) are filled in when it is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Name of the preset it started from.
    pub preset: String,
    /// Seed of every random number, up to 2^64 - 1.
    #[serde(with = "super::seed")]
    pub seed: u64,
    /// Which version of the rules of learning the run goes by; a new run by the newest.
    pub recipe: Recipe,
    /// Where it computes: `"auto"` (the fastest device that the build supports and the machine has), `"cpu"`, `"cuda"` or `"cuda:N"`.
    pub device: DeviceRequest,
    /// Type of weights, features and gradients.
    pub dtype: FloatType,
    /// What the factors of convolutions and linear maps are rounded to: `"f32"` (not at all) or, on a CUDA device, `"tf32"` or `"bf16"`.
    /// Weights, statistics, losses and the optimizer are of type `dtype` whatever it is.
    #[serde(with = "super::precision")]
    pub precision: Precision,
    /// Length and schedule of the GAN phase.
    pub train: TrainConfig,
    /// Where images and captions come from.
    pub data: DataConfig,
    /// How batches are made of images and captions.
    pub loader: LoaderConfig,
    /// The text encoder.
    pub text: TextEncoderConfig,
    /// Image encoder of the DAMSM and of the metrics.
    pub image_encoder: ImageEncoderSettings,
    /// The model that training starts from.
    pub start: StartConfig,
    /// Encoders that were trained elsewhere.
    pub encoders: GivenEncoders,
    /// Pre-training of both encoders.
    pub damsm: DamsmConfig,
    /// The generator.
    pub generator: GeneratorConfig,
    /// The discriminators, one per stage.
    pub discriminator: DiscriminatorConfig,
    /// Adam of the generator and the real image path.
    pub generator_opt: OptimizerConfig,
    /// Adam of the discriminators.
    pub discriminator_opt: OptimizerConfig,
    /// Augmentation of what the discriminators see.
    pub augment: AugmentConfig,
    /// Weights of the terms of the objective.
    pub loss: LossConfig,
    /// What is measured on the way and at the end.
    pub evaluate: EvaluateConfig,
}

impl RunConfig {
    /// Sides of the images in pixels, coarse to fine.
    pub fn sides(&self) -> Vec<usize> {
        (0..self.generator.stages).map(|i| self.generator.side(i)).collect()
    }

    /// What decides the batches of this run: the loader's settings, the generator's sides, the seed.
    pub fn loader(&self) -> BatchSpec {
        BatchSpec {
            config: self.loader.clone(),
            sides: self.sides(),
            seed: self.seed,
            shard: Shard::default(),
        }
    }

    /// The discriminator of the stage whose images have this side.
    pub fn discriminator_at(&self, side: usize) -> DiscriminatorConfig {
        DiscriminatorConfig {
            side,
            base: self.generator.base,
            text_dim: self.text.words_dim,
            ..self.discriminator.clone()
        }
    }

    /// Opens the device of these settings.
    ///
    /// # Errors
    /// A device that the build does not support; a precision that the device does not compute in.
    pub fn open_device(&self) -> Result<Opened, TrainError> {
        Ok(self.device.open_noted(self.precision)?)
    }

    /// What drawing with the trained model takes of these settings.
    pub fn model(&self) -> ModelConfig {
        ModelConfig {
            name: self.preset.clone(),
            max_words: self.damsm.max_words,
            text: self.text.clone(),
            generator: self.generator.clone(),
            ..ModelConfig::default()
        }
    }

    /// These settings with the encoders' of another run: what encoders trained there bring with them.
    #[must_use]
    pub fn with_encoders_of(&self, other: &Self) -> Self {
        let mut cfg = Self {
            text: other.text.clone(),
            image_encoder: other.image_encoder.clone(),
            damsm: other.damsm.clone(),
            ..self.clone()
        };
        cfg.derive();
        cfg
    }

    /// These settings with the sizes of a model that the run starts from: its text encoder's, its generator's, and how many words of a
    /// caption it reads.
    #[must_use]
    pub fn with_sizes_of(&self, model: &ModelConfig) -> Self {
        let mut cfg = self.clone();
        cfg.text = TextEncoderConfig { vocab_size: self.text.vocab_size, ..model.text.clone() };
        cfg.generator = model.generator.clone();
        cfg.damsm.max_words = model.max_words;
        cfg.derive();
        cfg
    }

    /// Fills in the sizes that follow from settings. `text.vocab_size` is the tokenizer's, so it stays.
    pub(super) fn derive(&mut self) {
        self.generator.text_dim = self.text.words_dim;
        self.discriminator.text_dim = self.text.words_dim;
    }
}

/// Length and schedule of the GAN phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Generator steps, at least 1.
    pub steps: u64,
    /// Learning rates fall linearly to this fraction over the run, in `(0, 1]`.
    pub final_lr: f64,
    /// Decay of the exponential moving average (EMA) of the generator's weights, in `[0, 1)`; the first steps use
    /// `(1 + step) / (10 + step)` if that is smaller.
    pub ema: f64,
    /// Steps between checkpoints; one is always written at the end.
    pub checkpoint_every: u64,
    /// Number of newest checkpoints that are kept.
    pub keep: usize,
    /// Steps between sample grids.
    pub sample_every: u64,
    /// Steps between lines of the log.
    pub log_every: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 2400,
            final_lr: 1.0,
            ema: 0.999,
            checkpoint_every: 500,
            keep: 3,
            sample_every: 500,
            log_every: 10,
        }
    }
}

/// Where images and captions come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// A WebDataset tar or an image folder; empty for the embedded emoji set.
    pub path: String,
    /// Uses this many records only; 0 for all.
    pub limit: usize,
    /// Who says which images are held out.
    pub split: SplitRule,
}

/// Who says which images are held out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SplitRule {
    /// The set itself, where it does (CUB, COCO); else the key.
    #[default]
    Given,
    /// Each record's key, in every set.
    ByKey,
}

/// The model that training starts from, instead of initial values: the text encoder and the generator of a model file. Words that it
/// lacks are added to its vocabulary; discriminators, the real image path and the image projection start from initial values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StartConfig {
    /// A model file, or `"pretrained"` for the model of drgan-pretrained; empty for initial values.
    pub model: String,
}

/// Encoders that were trained elsewhere: a run that trained the encoders alone, or AttnGAN's three files. All empty: this run
/// trains its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GivenEncoders {
    /// A run folder whose encoders and vocabulary are taken.
    pub run: String,
    /// AttnGAN's text encoder, .pth or .safetensors.
    pub text: String,
    /// AttnGAN's image encoder: Inception-v3 with its projection.
    pub image: String,
    /// The text encoder's vocabulary: AttnGAN's captions.pickle, or a tokenizer.json.
    pub vocabulary: String,
}

impl GivenEncoders {
    /// Whether no encoder is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Image encoder of the DAMSM and of the metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageEncoderSettings {
    /// The frozen backbone.
    pub backbone: BackboneKind,
    /// Images are resized to this side before EfficientNet-Lite0, at least 32; Inception-v3 always reads 299.
    pub side: usize,
    /// Backbone weights (safetensors or .pth); empty for the embedded EfficientNet-Lite0.
    pub weights: String,
}

impl Default for ImageEncoderSettings {
    fn default() -> Self {
        Self { backbone: BackboneKind::default(), side: 64, weights: String::new() }
    }
}

impl ImageEncoderSettings {
    /// The network of these settings.
    pub fn network(&self) -> ImageEncoderConfig {
        ImageEncoderConfig { backbone: self.backbone, side: self.side }
    }
}

/// Pre-training of the text encoder and the image projection on cached backbone features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DamsmConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Pairs per step, at least 2.
    pub batch: usize,
    /// Captions are cut to this many known words, at least 1.
    pub max_words: usize,
    /// Share of pairs whose caption is the record's full description (label, tags and all), in `[0, 1]`.
    pub full_rate: f64,
    /// Optimizer of both encoders.
    pub opt: OptimizerConfig,
    /// Factor on the learning rate per epoch, in `(0, 1]`.
    pub decay: f64,
    /// Largest global norm of a gradient, above 0.
    pub clip: f64,
    /// Backbone features are kept where they fit into this many MiB, and else computed for each batch.
    pub cache_mib: usize,
    /// Sharpness of attention and of the contrastive loss.
    pub gammas: Gammas,
}

impl Default for DamsmConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch: 48,
            max_words: 12,
            full_rate: 0.5,
            opt: OptimizerConfig { lr: 2e-3, ..OptimizerConfig::default() },
            decay: 0.98,
            clip: 0.25,
            cache_mib: 6144,
            gammas: Gammas::default(),
        }
    }
}

/// Differentiable augmentation of all images that the discriminators see, real and generated alike (Zhao et al., 2020): where there are few
/// images, discriminators learn them by heart without it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Share of the images that each of the three changes is made of, in `[0, 1]`; 0: no augmentation. Where it adapts, that of the
    /// first step.
    pub probability: f64,
    /// Mean sign of a discriminator's logits of real images that the probability adapts to, in `[0, 1)` (ADA; Karras et al., 2020):
    /// above it the probability rises, below it it falls; 0: the probability stays as it is.
    pub target: f64,
    /// Training images within which an adapting probability goes from 0 to 1, at least 1.
    pub adapt_images: u64,
    /// Strength of brightness, saturation and contrast, in `[0, 1]`: of at most 0.5 added, factors of 1 +- 1 and of 1 +- 0.5.
    pub color: f64,
    /// Strength of the shift, in `[0, 1]`: of at most an eighth of the side in each direction.
    pub translation: f64,
    /// Strength of the cutout, in `[0, 1]`: of half of the side.
    pub cutout: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self { probability: 0., target: 0., adapt_images: 500_000, color: 1., translation: 1., cutout: 1. }
    }
}

/// Weights of the terms of L_D and L_G (docs/model.md), each a finite number, 0 or more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// DAMSM on the finest image.
    pub lambda: f64,
    /// l1: SDL of the image features.
    pub sdl_image: f64,
    /// l2: SDL of the context features.
    pub sdl_context: f64,
    /// l3: reconstruction by the real image path.
    pub rirm: f64,
    /// l4: DNM, the discriminators' variational autoencoders.
    pub dnm: f64,
    /// l5: DAL, the distribution adversarial loss.
    pub dal: f64,
    /// KL of the conditioning augmentation.
    pub condition_kl: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { lambda: 5., sdl_image: 0.1, sdl_context: 0.1, rirm: 1., dnm: 1., dal: 1., condition_kl: 1. }
    }
}

/// What is measured on the way and at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateConfig {
    /// Samples for KID, pair distance and R-precision, of held-out captions and of training captions each; below 2 nothing is measured.
    pub samples: usize,
    /// Noise seeds per prompt in the attribute accuracies, at least 1.
    pub seeds: usize,
    /// Noise seeds per caption in the diversity within a caption, at least 2.
    pub repeats: usize,
    /// Captions among which R-precision looks for an image's own, at least 2.
    pub candidates: usize,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self { samples: 1000, seeds: 40, repeats: 16, candidates: 100 }
    }
}
