//! Models trained elsewhere: a generator, its text encoder and its vocabulary in files of their own.
use crate::{CaptionEncoder, Fit, Model, ModelConfig};
use candle_core::{DType, Device};
use drgan_sdm::{GeneratorConfig, StageGenerator};
use drgan_tensor::internal::shown;
use drgan_tensor::weights::{self, WeightFile};
use drgan_tensor::{Error, FromConfig, ParamStore, Result, Shapes, Variant, parameter_shapes};
use drgan_text::{TextEncoderConfig, Tokenize, Vocabulary};
use std::path::Path;

/// The authors divide mask logits by the batch: 4 where they evaluate birds (10 for COCO).
pub const AUTHORS_SCALE: f64 = 0.25;

/// The files of a generator that was trained elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// State dict of the generator.
    pub generator: &'a Path,
    /// State dict of AttnGAN's text encoder.
    pub text_encoder: &'a Path,
    /// AttnGAN's captions.pickle, or a tokenizer.json.
    pub vocabulary: &'a Path,
    /// What mask logits are multiplied by; none: [`AUTHORS_SCALE`] in the released form, 1 in the paper's.
    pub mask_logit_scale: Option<f64>,
}

/// Opens the files; nothing is trained, nothing is written. Captions are cut to 18 words, as AttnGAN cuts those of birds.
///
/// # Errors
/// A file that is no such network, or lacks tensors; a vocabulary of another size than the text encoder's.
pub fn open(files: &Files<'_>, device: &Device) -> Result<Model> {
    let weights = weights::open(files.generator, device)?;
    let mut generator = whole_generator(&weights, files.generator)?;
    generator.mask_logit_scale = files.mask_logit_scale.unwrap_or(generator.mask_logit_scale);
    let text_weights = weights::open(files.text_encoder, device)?;
    let text = whole_text_encoder(&text_weights, files.text_encoder)?;
    if text.words_dim != generator.text_dim {
        return Err(Error::input(format!(
            "{} gives features of {}, {} takes {}; they were not trained together",
            shown(files.text_encoder),
            text.words_dim,
            shown(files.generator),
            generator.text_dim
        )));
    }
    let config = ModelConfig { name: "imported".to_owned(), text, generator, ..ModelConfig::default() };
    let tokenizer = tokenizer_of(&config.text, &text_weights, files.text_encoder, files.vocabulary)?;
    let captions = CaptionEncoder::new(
        &config.text,
        tokenizer,
        config.max_words,
        ParamStore::zeroed(),
        DType::F32,
        device,
    )?;
    let store = captions.weights();
    store
        .assign(&store.select(text_weights.tensors))
        .map_err(|e| Error::file_because(files.text_encoder, "not as its own shapes say", e))?;
    let store = Model::generator_weights(&config.generator, DType::F32, device)?;
    store
        .assign(&store.select(weights.tensors))
        .map_err(|e| Error::file_because(files.generator, "not as its own shapes say", e))?;
    Ok(Model::new(config, captions, store))
}

/// A vocabulary file as the tokenizer of the text encoder `cfg`, checked against the embedding of its weights.
///
/// # Errors
/// A vocabulary that cannot be read, or of another size than the embedding.
pub fn tokenizer_of(
    cfg: &TextEncoderConfig,
    text: &WeightFile,
    text_path: &Path,
    vocabulary: &Path,
) -> Result<Box<dyn Tokenize>> {
    let tokenizer: Box<dyn Tokenize> = match vocabulary.extension() {
        Some(e) if e == "json" => {
            let json = std::fs::read(vocabulary)
                .map_err(|e| Error::file_because(vocabulary, "cannot be read", e))?;
            cfg.tokenizer(&json).map_err(|e| Error::file_because(vocabulary, "not a vocabulary", e))?
        }
        _ => cfg.new_tokenizer(&Vocabulary::from_captions_pickle(vocabulary)?)?,
    };
    let rows = text.tensors.get("encoder.weight").map_or(0, |t| t.dims()[0]);
    if rows != tokenizer.vocab_size() {
        return Err(Error::input(format!(
            "text encoder {} embeds {rows} words, vocabulary {} has {}; give the vocabulary it was trained with",
            shown(text_path),
            shown(vocabulary),
            tokenizer.vocab_size()
        )));
    }
    Ok(tokenizer)
}

/// The configuration of a generator, from its tensors' names and shapes, and how they fit it.
///
/// What no tensor shows is taken as the authors have it: [`AUTHORS_SCALE`] in the released form.
///
/// # Errors
/// Sizes that fit no configuration.
pub fn fit_generator(found: &Shapes) -> Result<(GeneratorConfig, Fit)> {
    let mut cfg = GeneratorConfig::from_shapes(found)?;
    if cfg.form == Variant::Released {
        cfg.mask_logit_scale = AUTHORS_SCALE;
    }
    let fit = Fit::new(parameter_shapes(|vb| StageGenerator::from_config(&cfg, vb))?, found);
    Ok((cfg, fit))
}

/// The configuration of AttnGAN's text encoder, from its tensors' names and shapes, and how they fit it.
///
/// # Errors
/// Sizes that fit no configuration.
pub fn fit_text_encoder(found: &Shapes) -> Result<(TextEncoderConfig, Fit)> {
    let dims = |name: &str| match found.get(name).map(Vec::as_slice) {
        Some(&[a, b]) => Ok((a, b)),
        _ => Err(Error::input(format!("a text encoder has a matrix `{name}`"))),
    };
    let (vocab_size, embedding) = dims("encoder.weight")?;
    let (_, hidden) = dims("rnn.weight_hh_l0")?;
    let cfg = TextEncoderConfig { vocab_size, embedding, words_dim: 2 * hidden, ..Default::default() };
    let fit = Fit::new(parameter_shapes(|vb| cfg.build(vb))?, found);
    Ok((cfg, fit))
}

/// The configuration of a file that must be a whole text encoder.
///
/// # Errors
/// [`Error::File`] that says what is missing.
pub fn whole_text_encoder(opened: &WeightFile, path: &Path) -> Result<TextEncoderConfig> {
    whole("text-encoder", fit_text_encoder(&opened.shapes()), path)
}

fn whole_generator(opened: &WeightFile, path: &Path) -> Result<GeneratorConfig> {
    whole("generator", fit_generator(&opened.shapes()), path)
}

fn whole<C>(network: &str, found: Result<(C, Fit)>, path: &Path) -> Result<C> {
    let (cfg, fit) = found.map_err(|e| Error::file_because(path, format!("not a {network}"), e))?;
    fit.whole(network, path)?;
    Ok(cfg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sampler;
    use crate::testing::small_model;
    use drgan_tensor::ops::Precision;
    use drgan_tensor::testing::{Tol, assert_close};
    use drgan_tensor::weights::{Metadata, safetensors};

    #[test]
    fn a_model_in_three_files_draws_as_one() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| dir.path().join(name);
        let (generator, text, vocabulary) = (at("g.safetensors"), at("t.safetensors"), at("tokenizer.json"));
        let model = small_model()?;
        safetensors::save(&generator, &model.generator().views(), &Metadata::new())?;
        safetensors::save(&text, &model.captions().weights().views(), &Metadata::new())?;
        let json = model.captions().tokenizer().to_json()?;
        std::fs::write(&vocabulary, json).expect("the vocabulary can be written");
        let mut files = Files {
            generator: &generator,
            text_encoder: &text,
            vocabulary: &vocabulary,
            mask_logit_scale: None,
        };
        let opened = open(&files, &Device::Cpu)?;
        let draw = |m: &Model| Sampler::new(m, Precision::F32)?.images(&["a red heart"], &[0], 1);
        // Its captions are padded to 18 words, the other's to 6.
        assert_close("the same image", &draw(&opened)?, &draw(&model)?, Tol { rtol: 0., atol: 1e-5 })?;
        files.generator = &text;
        let said = open(&files, &Device::Cpu).expect_err("no generator").to_string();
        assert!(said.contains("t.safetensors") && said.contains("not a generator"), "{said}");
        Ok(())
    }
}
