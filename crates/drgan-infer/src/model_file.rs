//! A model as one safetensors file: weights, configuration and vocabulary.
//!
//! Tensors are `text.NAME`, `generator.NAME` and, where the model has the projection of an image encoder, `image.NAME`; the metadata hold [`ModelConfig`] as JSON under `drgan.config`, the tokenizer (a
//! `tokenizer.json`) under `drgan.tokenizer`, the model card in Markdown under `drgan.card` and the number of the format, if it is
//! above 1, under `drgan.format`.
use crate::{CaptionEncoder, Fit, Model, ModelConfig};
use candle_core::{DType, Device, Tensor};
use drgan_sdm::StageGenerator;
use drgan_tensor::internal::escaped;
use drgan_tensor::weights::{self, Metadata, Tensors};
use drgan_tensor::{Error, FromConfig, ParamStore, Result, Shapes, parameter_shapes};
use std::path::Path;

/// The key of the configuration in a model file's metadata; no other file has it.
pub const CONFIG_KEY: &str = "drgan.config";
const TOKENIZER: &str = "drgan.tokenizer";
const CARD: &str = "drgan.card";
const FORMAT: &str = "drgan.format";
/// The newest format that is read.
const NEWEST: u32 = 1;
/// What stands before the names of a model file's text encoder.
pub const TEXT_PART: &str = "text";
/// What stands before the names of the projection of a model file's image encoder.
pub const IMAGE_PART: &str = "image";
/// What stands before the names of a model file's generator.
pub const GENERATOR_PART: &str = "generator";

impl Model {
    /// Reads what [`Model::to_bytes`] made; weights that are all in double precision stay so. No more than a multiple of the
    /// bytes is allocated: what the configuration asks for is compared with the tensors first.
    ///
    /// # Errors
    /// No safetensors file or one that is cut short; no model's metadata, or sizes in them that [`ModelConfig::validate`]
    /// refuses; tensors that are missing, left over, of another shape or not of a floating-point type.
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Self> {
        read(bytes, Path::new("model"), device)
    }

    /// The model as the bytes of a safetensors file; equal models give equal bytes.
    ///
    /// # Errors
    /// Whatever candle reports.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.bytes_with(|t| Ok(t.clone()))
    }

    /// As [`Model::to_bytes`] in about half the size: matrices and convolutions are rounded to half precision (10 bits of fraction).
    /// Vectors, which are few and hold statistics of batch norms, stay as they are.
    ///
    /// # Errors
    /// A weight beyond 65,504, the largest number of half precision, or one that is not finite.
    pub fn to_half_bytes(&self) -> Result<Vec<u8>> {
        self.bytes_with(|t| if t.rank() < 2 { Ok(t.clone()) } else { half(t) })
    }

    fn bytes_with(&self, change: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Vec<u8>> {
        let mut tensors = Tensors::new();
        let (text, generator) = (self.captions().weights().views(), self.generator().views());
        let image = self.projection().cloned().unwrap_or_default();
        for (part, of_part) in [(TEXT_PART, text), (GENERATOR_PART, generator), (IMAGE_PART, image)] {
            for (name, t) in of_part {
                let name = format!("{part}.{name}");
                let changed = change(&t).map_err(|e| Error::input(format!("`{name}`: {e}")))?;
                tensors.insert(name, changed);
            }
        }
        let config = serde_json::to_string(self.config()).map_err(candle_core::Error::wrap)?;
        let tokenizer = self.captions().tokenizer().to_json()?;
        let mut metadata =
            Metadata::from([(CONFIG_KEY.to_owned(), config), (TOKENIZER.to_owned(), tokenizer)]);
        if !self.card().is_empty() {
            metadata.insert(CARD.to_owned(), self.card().to_owned());
        }
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
        drgan_tensor::file::write_atomic(path, &self.to_bytes()?)
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
    if let Some(format) = metadata.get(FORMAT)
        && format.parse().ok().is_none_or(|n: u32| n == 0 || n > NEWEST)
    {
        let reason =
            format!("a model of format {}; this program reads {NEWEST}: update drgan", escaped(format));
        return Err(Error::file(path, reason));
    }
    let mut cfg: ModelConfig = serde_json::from_str(entry(CONFIG_KEY)?)
        .map_err(|e| Error::file_because(path, bad(CONFIG_KEY), e))?;
    let tokenizer = cfg
        .text
        .tokenizer(entry(TOKENIZER)?.as_bytes())
        .map_err(|e| Error::file_because(path, bad(TOKENIZER), e))?;
    cfg.text.vocab_size = tokenizer.vocab_size();
    cfg.generator.text_dim = cfg.text.words_dim;
    cfg.validate().map_err(|e| Error::file_because(path, bad(CONFIG_KEY), e))?;
    let part = |part: &str| -> Tensors {
        let named = |(name, t): (&String, &Tensor)| {
            let name = name.strip_prefix(part)?.strip_prefix('.')?;
            Some((name.to_owned(), t.clone()))
        };
        tensors.iter().filter_map(named).collect()
    };
    let (text, generator) = (part(TEXT_PART), part(GENERATOR_PART));
    let misfit = |part: &str, e: Error| Error::file_because(path, part, e);
    let fits = |part: &str, tensors: &Tensors, needed: Result<Shapes>| {
        let found = tensors.iter().map(|(name, t)| (name.clone(), t.dims().to_vec())).collect();
        needed.and_then(|needed| Fit::new(needed, &found).exact()).map_err(|e| misfit(part, e))?;
        dtype(tensors).map_err(|e| misfit(part, e))
    };
    // Before anything of those sizes is allocated.
    let text_dtype = fits(TEXT_PART, &text, parameter_shapes(|vb| cfg.text.build(vb)))?;
    let generator_dtype = fits(
        GENERATOR_PART,
        &generator,
        parameter_shapes(|vb| StageGenerator::from_config(&cfg.generator, vb)),
    )?;
    let captions =
        CaptionEncoder::new(&cfg.text, tokenizer, cfg.max_words, ParamStore::zeroed(), text_dtype, device)?;
    captions.weights().assign(&text).map_err(|e| misfit(TEXT_PART, e))?;
    let weights = Model::generator_weights(&cfg.generator, generator_dtype, device)?;
    weights.assign(&generator).map_err(|e| misfit(GENERATOR_PART, e))?;
    let card = metadata.get(CARD).map(String::as_str).unwrap_or_default();
    let model = Model::new(cfg.clone(), captions, weights).with_card(card);
    let Some(encoder) = cfg.image_encoder else { return Ok(model) };
    let image = part(IMAGE_PART);
    let image = dtype(&image).and_then(|dtype| {
        let widened = image.into_iter().map(|(name, t)| Ok((name, t.to_dtype(dtype)?)));
        model.with_projection(encoder, widened.collect::<candle_core::Result<_>>()?)
    });
    image.map_err(|e| misfit(IMAGE_PART, e))
}

/// In half precision.
fn half(t: &Tensor) -> Result<Tensor> {
    let rounded = t.to_dtype(DType::F16)?;
    let largest = rounded.to_dtype(DType::F32)?.abs()?.max_all()?.to_scalar::<f32>()?;
    // The comparison is false of NaN, too.
    if largest < f32::INFINITY && rounded.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?.is_finite() {
        return Ok(rounded);
    }
    Err(Error::input("has values that half precision cannot hold: not finite, or beyond 65504"))
}

/// The type that a part's weights are kept in: double precision if all of them are, else single.
fn dtype(tensors: &Tensors) -> Result<DType> {
    if let Some((name, t)) = tensors.iter().find(|(_, t)| !t.dtype().is_float()) {
        let got = t.dtype().as_str();
        return Err(Error::input(format!("`{name}` is of type {got}; weights are floating-point numbers")));
    }
    Ok(if tensors.values().all(|t| t.dtype() == DType::F64) { DType::F64 } else { DType::F32 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sampler;
    use crate::testing::small_model;
    use drgan_tensor::ops::Precision;
    use drgan_tensor::testing::{Tol, assert_close};

    fn draw(model: &Model) -> Result<Tensor> {
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
    fn half_the_bytes_draw_nearly_the_same_and_keep_the_card() -> Result<()> {
        let model = small_model()?.with_card("# A model\nof tests");
        let bytes = model.to_half_bytes()?;
        assert!(bytes.len() * 10 < model.to_bytes()?.len() * 7, "{}", bytes.len());
        let back = Model::from_bytes(&bytes, &Device::Cpu)?;
        assert_eq!(back.card(), "# A model\nof tests");
        assert_close("in half precision", &draw(&back)?, &draw(&model)?, Tol { rtol: 0., atol: 0.02 })?;
        assert_eq!(Model::from_bytes(&back.to_half_bytes()?, &Device::Cpu)?.to_bytes()?, back.to_bytes()?);
        let (_, _, var) = model.generator().all().into_iter().find(|(.., v)| v.rank() > 1).expect("a matrix");
        for bad in [1e5, f64::NAN] {
            var.set(&var.as_tensor().ones_like()?.affine(bad, 0.)?)?;
            let said = model.to_half_bytes().expect_err("refused").to_string();
            assert!(said.contains("generator.") && said.contains("65504"), "{said}");
        }
        Ok(())
    }

    #[test]
    fn a_newer_format_says_so() -> Result<()> {
        for format in ["2", "0", "one", "-1"] {
            let said = refused(|_, metadata| drop(metadata.insert(FORMAT.to_owned(), format.to_owned())))?;
            assert!(said.contains(&format!("format {format}")) && said.contains("update drgan"), "{said}");
        }
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
        for key in [CONFIG_KEY, TOKENIZER] {
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

    /// Tensors and metadata of the small model, and what is said of them once they are changed.
    fn refused(change: impl FnOnce(&mut Tensors, &mut Metadata)) -> Result<String> {
        let bytes = small_model()?.to_bytes()?;
        let (mut tensors, mut metadata) =
            weights::safetensors::from_bytes(&bytes, Path::new("model"), &Device::Cpu)?;
        change(&mut tensors, &mut metadata);
        let bytes = weights::safetensors::to_bytes(&tensors, &metadata)?;
        Ok(Model::from_bytes(&bytes, &Device::Cpu).expect_err("refused").to_string())
    }

    #[test]
    fn sizes_that_the_weights_do_not_have_are_refused_before_they_are_allocated() -> Result<()> {
        let huge = 1_000_000_000_000_usize;
        for (at, value, said) in [
            ("/max_words", huge, "max_words"),
            ("/max_words", 0, "max_words"),
            ("/text/embedding", huge, "text.embedding"),
            ("/text/embedding", 65_536, "encoder.weight"),
            ("/text/words_dim", huge, "text.words_dim"),
            ("/text/words_dim", 65_536, "rnn.weight_hh_l0"),
            ("/generator/ngf", huge, "generator.ngf"),
            ("/generator/ngf", 65_536, "generator: "),
            ("/generator/nz", huge, "generator.nz"),
            ("/generator/nz", 65_536, "generator: "),
            ("/generator/base", huge, "generator.base"),
            ("/generator/base", 8_192, "generator.stages"),
            ("/generator/stages", huge, "generator.stages"),
            ("/generator/residual_blocks", huge, "generator.residual_blocks"),
            ("/generator/residual_blocks", 256, "generator: "),
        ] {
            let message = refused(|_, metadata| {
                let mut config: serde_json::Value =
                    serde_json::from_str(&metadata[CONFIG_KEY]).expect("JSON");
                *config.pointer_mut(at).expect("a key of the configuration") = value.into();
                metadata.insert(CONFIG_KEY.to_owned(), config.to_string());
            })?;
            assert!(message.starts_with("model: ") && message.contains(said), "{at} = {value}: {message}");
        }
        Ok(())
    }

    #[test]
    fn tensors_left_over_of_another_shape_or_type_are_named() -> Result<()> {
        let name = "generator.ca_net.fc.weight";
        let zeros = |shape: &[usize], dtype| candle_core::Tensor::zeros(shape, dtype, &Device::Cpu);
        let put = |name: &str, t: candle_core::Tensor| {
            let name = name.to_owned();
            refused(|tensors, _| drop(tensors.insert(name, t)))
        };
        let said = put("generator.more.weight", zeros(&[2], DType::F32)?)?;
        assert!(said.contains("unexpected") && said.contains("more.weight"), "{said}");
        let said = put(name, zeros(&[2, 3], DType::F32)?)?;
        assert!(said.contains("ca_net.fc.weight") && said.contains("[2, 3]"), "{said}");
        let model = small_model()?;
        let shape = model.generator().views()["ca_net.fc.weight"].dims().to_vec();
        let said = put(name, zeros(&shape, DType::I64)?)?;
        assert!(said.contains("ca_net.fc.weight") && said.contains("i64"), "{said}");
        Ok(())
    }

    #[test]
    fn a_file_cut_short_is_said_to_be() -> Result<()> {
        let bytes = small_model()?.to_bytes()?;
        for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
            let said = Model::from_bytes(&bytes[..length], &Device::Cpu).expect_err("cut short").to_string();
            assert!(said.contains("not a whole safetensors file"), "{length} bytes: {said}");
        }
        Ok(())
    }

    #[test]
    fn double_precision_is_kept() -> Result<()> {
        let (model, third) = (small_model()?, 1. / 3.);
        let weights = Model::generator_weights(&model.config().generator, DType::F64, &Device::Cpu)?;
        for (_, _, var) in weights.all() {
            var.set(&(var.ones_like()? * third)?)?;
        }
        let wide = Model::new(model.config().clone(), model.captions().clone(), weights);
        let back = Model::from_bytes(&wide.to_bytes()?, &Device::Cpu)?;
        let bias = back.generator().views()["ca_net.fc.bias"].to_vec1::<f64>()?;
        assert!(bias.iter().all(|b| *b == third), "{bias:?}");
        assert_eq!(back.captions().weights().views()["encoder.weight"].dtype(), DType::F32);
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
