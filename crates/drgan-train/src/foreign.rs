//! A generator of others as a run that can be sampled: its weights, its text encoder, its vocabulary.
use crate::config::{GivenEncoders, RunConfig};
use crate::encoders::Encoders;
use crate::error::TrainError;
use crate::import::{self, Network};
use crate::networks::OwnedGenerator;
use crate::sampler::TrainedRun;
use candle_core::Device;
use drgan_sdm::GeneratorConfig;
use drgan_tensor::Shapes;
use drgan_tensor::weights::{self, WeightFile};
use std::path::Path;

/// The files of a generator that was trained elsewhere.
pub struct Files<'a> {
    /// State dict of the generator.
    pub generator: &'a Path,
    /// Of the text encoder.
    pub text_encoder: &'a Path,
    /// AttnGAN's captions.pickle, or a tokenizer.json.
    pub vocabulary: &'a Path,
    /// What mask logits are multiplied by; none: [`import::AUTHORS_SCALE`] in the released form, 1 in the paper's.
    pub mask_logit_scale: Option<f64>,
}

/// Captions are cut to this many words, AttnGAN's for birds.
const MAX_WORDS: usize = 18;

/// Opens the files; nothing is trained, nothing is written.
///
/// # Errors
/// A file that is no such network, or lacks tensors; a vocabulary of another size than the text encoder's.
pub fn open(files: &Files<'_>) -> Result<TrainedRun, TrainError> {
    let generator = weights::open(files.generator, &Device::Cpu)?;
    let mut cfg: GeneratorConfig = config_of(&generator, Network::Generator, files.generator)?;
    cfg.mask_logit_scale = files.mask_logit_scale.unwrap_or(cfg.mask_logit_scale);
    let text = weights::open(files.text_encoder, &Device::Cpu)?;
    let text_cfg: drgan_text::TextEncoderConfig = config_of(&text, Network::TextEncoder, files.text_encoder)?;
    if text_cfg.words_dim != cfg.text_dim {
        return Err(TrainError::Config(format!(
            "{} gives features of {}, {} takes {}; they were not trained together",
            files.text_encoder.display(),
            text_cfg.words_dim,
            files.generator.display(),
            cfg.text_dim
        )));
    }
    let mut run =
        RunConfig { preset: "imported".to_owned(), text: text_cfg, generator: cfg, ..Default::default() };
    run.damsm.max_words = MAX_WORDS;
    let given = GivenEncoders {
        text: files.text_encoder.display().to_string(),
        vocabulary: files.vocabulary.display().to_string(),
        ..Default::default()
    };
    let encoders = Encoders::of_text(&run, &given, text.tensors)?;

    let owned = OwnedGenerator::unset(&run)?;
    owned.store.assign(&owned.store.select(generator.tensors))?;
    Ok(TrainedRun { cfg: run, encoders, generator: owned, step: 0, early_kid: None, warning: None })
}

/// The configuration of a file that must be `network`, whole.
pub(crate) fn config_of<C: serde::de::DeserializeOwned>(
    opened: &WeightFile,
    network: Network,
    path: &Path,
) -> Result<C, TrainError> {
    let shapes: Shapes = opened.shapes();
    let named = |reason: String| TrainError::Config(format!("{}: {reason}", path.display()));
    let fit =
        import::fit(&shapes, Some(network)).map_err(|e| named(format!("no {}: {e}", network.name())))?;
    if let Some(first) = fit.missing.first() {
        return Err(named(format!(
            "{} tensors of a {} are missing, first {first}",
            fit.missing.len(),
            network.name()
        )));
    }
    serde_json::from_value(fit.config).map_err(|e| named(e.to_string()))
}
