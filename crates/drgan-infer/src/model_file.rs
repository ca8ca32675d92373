//! A model as one safetensors file: weights, configuration and vocabulary.
//!
//! Tensors are `text.NAME` and `generator.NAME`; the metadata hold [`ModelConfig`] as JSON under `drgan.config` and the
//! tokenizer (a `tokenizer.json`) under `drgan.tokenizer`.
use crate::{CaptionEncoder, Model, ModelConfig};
use candle_core::{DType, Device};
use drgan_tensor::weights::{self, Metadata, Tensors};
use drgan_tensor::{Error, ParamStore, Result};
use std::path::Path;

const CONFIG: &str = "drgan.config";
const TOKENIZER: &str = "drgan.tokenizer";
const TEXT: &str = "text";
const GENERATOR: &str = "generator";

impl Model {
    /// Reads what [`Model::to_bytes`] made.
    ///
    /// # Errors
    /// No safetensors file, one without a model's metadata, tensors missing or of another shape.
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Self> {
        read(bytes, Path::new("model"), device)
    }

    /// The model as the bytes of a safetensors file; equal models give equal bytes.
    ///
    /// # Errors
    /// Whatever candle reports.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut tensors = Tensors::new();
        for (part, store) in [(TEXT, self.captions().weights()), (GENERATOR, self.generator())] {
            tensors.extend(store.views().into_iter().map(|(name, t)| (format!("{part}.{name}"), t)));
        }
        let config = serde_json::to_string(self.config()).map_err(candle_core::Error::wrap)?;
        let tokenizer = self.captions().tokenizer().to_json()?;
        let metadata = Metadata::from([(CONFIG.to_owned(), config), (TOKENIZER.to_owned(), tokenizer)]);
        weights::safetensors::to_bytes(&tensors, &metadata)
    }

    /// Reads a file that [`Model::save`] wrote.
    ///
    /// # Errors
    /// As [`Model::from_bytes`], with the file's name.
    #[cfg(feature = "fs")]
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::file_because(path, "cannot be read", e))?;
        read(&bytes, path, device)
    }

    /// Writes [`Model::to_bytes`]; a reader sees the old file or the new one.
    ///
    /// # Errors
    /// The file cannot be written.
    #[cfg(feature = "fs")]
    pub fn save(&self, path: &Path) -> Result<()> {
        weights::file::write_atomic(path, &self.to_bytes()?)
    }
}

/// `path` is named in errors.
fn read(bytes: &[u8], path: &Path, device: &Device) -> Result<Model> {
    let (tensors, metadata) = weights::safetensors::from_bytes(bytes, path, device)?;
    let entry = |key: &str| {
        metadata
            .get(key)
            .ok_or_else(|| Error::file(path, format!("not a model: its metadata have no `{key}`")))
    };
    let bad = |key: &str| format!("`{key}` in its metadata");
    let mut cfg: ModelConfig =
        serde_json::from_str(entry(CONFIG)?).map_err(|e| Error::file_because(path, bad(CONFIG), e))?;
    let tokenizer = cfg
        .text
        .tokenizer(entry(TOKENIZER)?.as_bytes())
        .map_err(|e| Error::file_because(path, bad(TOKENIZER), e))?;
    cfg.generator.text_dim = cfg.text.words_dim;
    let part = |part: &str| -> Tensors {
        let named = |(name, t): (&String, &candle_core::Tensor)| {
            let name = name.strip_prefix(part)?.strip_prefix('.')?;
            Some((name.to_owned(), t.clone()))
        };
        tensors.iter().filter_map(named).collect()
    };
    let fits = |part: &str, e: Error| Error::file_because(path, part, e);
    let captions =
        CaptionEncoder::new(&cfg.text, tokenizer, cfg.max_words, ParamStore::zeroed(), DType::F32, device)?;
    captions.weights().assign(&part(TEXT)).map_err(|e| fits(TEXT, e))?;
    let generator = Model::generator_weights(&cfg.generator, device)?;
    generator.assign(&part(GENERATOR)).map_err(|e| fits(GENERATOR, e))?;
    Ok(Model::new(cfg, captions, generator))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sampler;
    use crate::testing::small_model;
    use drgan_tensor::ops::Precision;
    use drgan_tensor::testing::{Tol, assert_close};

    fn draw(model: &Model) -> Result<candle_core::Tensor> {
        Sampler::new(model, Precision::F32)?.images(&["a red heart", "a blue square"], &[0, 1], 3)
    }

    #[test]
    fn a_model_survives_bytes_and_files_and_draws_the_same() -> Result<()> {
        let model = small_model()?;
        let bytes = model.to_bytes()?;
        assert_eq!(bytes, model.to_bytes()?);
        let back = Model::from_bytes(&bytes, &Device::Cpu)?;
        assert_eq!(back.config(), model.config());
        assert_eq!(back.config().generator.text_dim, back.config().text.words_dim);
        assert_close("from bytes", &draw(&back)?, &draw(&model)?, Tol::EXACT)?;
        assert_eq!(back.to_bytes()?, bytes);
        Ok(())
    }

    #[test]
    fn what_is_no_model_is_said_with_the_part_that_is_wrong() -> Result<()> {
        let model = small_model()?;
        let message = |tensors: &Tensors, metadata: &Metadata| -> Result<String> {
            let bytes = weights::safetensors::to_bytes(tensors, metadata)?;
            Ok(Model::from_bytes(&bytes, &Device::Cpu).expect_err("refused").to_string())
        };
        let path = Path::new("model");
        let (tensors, metadata) = weights::safetensors::from_bytes(&model.to_bytes()?, path, &Device::Cpu)?;
        for key in [CONFIG, TOKENIZER] {
            let mut less = metadata.clone();
            less.remove(key);
            assert!(message(&tensors, &less)?.contains(key));
            less.insert(key.to_owned(), "{\"no\": 1}".to_owned());
            assert!(message(&tensors, &less)?.contains(key));
        }
        for name in ["text.encoder.weight", "generator.ca_net.fc.weight"] {
            let mut less = tensors.clone();
            less.remove(name).expect("there");
            let (part, rest) = name.split_once('.').expect("a part and a name");
            let said = message(&less, &metadata)?;
            assert!(said.contains(&format!("{part}: ")) && said.contains(rest), "{said}");
        }
        assert!(Model::from_bytes(b"hello", &Device::Cpu).is_err());
        Ok(())
    }

    #[cfg(feature = "fs")]
    #[test]
    fn files_hold_the_same_bytes_and_errors_name_them() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (path, absent) = (dir.path().join("model.safetensors"), dir.path().join("absent.safetensors"));
        let model = small_model()?;
        model.save(&path)?;
        assert_eq!(Model::load(&path, &Device::Cpu)?.to_bytes()?, model.to_bytes()?);
        let said = Model::load(&absent, &Device::Cpu).expect_err("not there").to_string();
        assert!(said.contains("absent.safetensors"), "{said}");
        Ok(())
    }
}
