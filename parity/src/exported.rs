//! Exported ONNX graphs and state dicts with inputs and our images for them, for other runtimes to compare with.
use anyhow::{Context, Result};
use candle_core::{DType, Tensor};
use drgan_infer::{Arithmetic, CaptionEncoder, Model, ModelConfig, Sampler, onnx, state_dicts};
use drgan_sdm::GeneratorConfig;
use drgan_tensor::device::HOST;
use drgan_tensor::testing::Fill;
use drgan_tensor::weights::{Metadata, Tensors, safetensors};
use drgan_tensor::{ParamStore, Variant};
use drgan_text::{TextEncoderConfig, Tokenizer, Vocabulary, WordRule};
use std::path::Path;

/// Batches of captions of every length up to more words than are read; the first is one caption alone.
const BATCHES: [&[&str]; 3] = [
    &["a red heart"],
    &["heart", "a very small green cat", "a blue square and a red heart and a green cat with a blue face"],
    &["cat", "cat"],
];

/// Writes `NAME.onnx` and the state dicts in the folder `NAME`, and per batch `NAME-K.safetensors` with the graph's inputs and what we draw for them in double precision: for
/// a model of each form, and for the one in the file `model`, if given.
///
/// # Errors
/// A folder that cannot be made, a file that cannot be written, a model that cannot be read.
pub fn write(dir: &Path, model: Option<&Path>) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    write_one(dir, "paper", &filled(Variant::Paper)?)?;
    write_one(dir, "released", &filled(Variant::Released)?)?;
    if let Some(path) = model {
        write_one(dir, "given", &Model::load(path, &HOST)?)?;
    }
    Ok(())
}

fn write_one(dir: &Path, name: &str, model: &Model) -> Result<()> {
    let path = dir.join(format!("{name}.onnx"));
    drgan_tensor::file::write_atomic(&path, &onnx::to_bytes(model)?)?;
    state_dicts::save(model, &dir.join(name))?;
    let sampler = Sampler::new(model, Arithmetic::Exact)?;
    for (k, captions) in BATCHES.into_iter().enumerate() {
        let numbers: Vec<u64> = (0..captions.len() as u64).collect();
        let tokens = model.captions().tokens(captions)?;
        let lengths = tokens.lens.iter().map(|n| *n as i64);
        let [noise, condition_noise] = sampler.noise(&numbers, 7)?;
        let mut tensors = Tensors::from([
            ("tokens".to_owned(), tokens.ids.to_dtype(DType::I64)?),
            ("lengths".to_owned(), Tensor::from_iter(lengths, &HOST)?),
            ("noise".to_owned(), noise.to_dtype(DType::F32)?),
            ("condition_noise".to_owned(), condition_noise.to_dtype(DType::F32)?),
        ]);
        for stage in sampler.draw(captions, &numbers, 7)?.stages {
            let image = stage.image.detach();
            tensors.insert(format!("image{}", image.dim(3)?), image.to_dtype(DType::F32)?);
        }
        safetensors::save(&dir.join(format!("{name}-{k}.safetensors")), &tensors, &Metadata::new())?;
    }
    Ok(())
}

/// A small model whose weights follow from their names.
fn filled(form: Variant) -> Result<Model> {
    let words = ["a very small red heart", "a blue square and", "a green cat with face"];
    let tokenizer = Tokenizer::new(&Vocabulary::from_captions(words, WordRule::default())?)?;
    let text = TextEncoderConfig { embedding: 12, words_dim: 16, ..TextEncoderConfig::default() };
    let captions =
        CaptionEncoder::new(&text, Box::new(tokenizer), 10, ParamStore::zeroed(), DType::F32, &HOST)?;
    let generator = GeneratorConfig {
        base: 16,
        ngf: 8,
        text_dim: 16,
        nz: 6,
        nc: 5,
        residual_blocks: 2,
        form,
        mask_logit_scale: 0.5,
        ..GeneratorConfig::default()
    };
    let weights = Model::generator_weights(&generator, DType::F32, &HOST)?;
    let fill = Fill::new("onnx", "");
    for store in [captions.weights(), &weights] {
        for (name, _, var) in store.all() {
            let values = fill.values(&name, var.dims());
            var.set(&Tensor::from_vec(values, var.dims(), &HOST)?)?;
        }
    }
    let config = ModelConfig { name: format!("{form:?}"), text, generator, ..ModelConfig::default() };
    Ok(Model::new(config, captions, weights))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_inputs_and_images_are_written() -> Result<()> {
        let dir = tempfile::tempdir()?;
        write(dir.path(), None)?;
        for name in ["paper", "released"] {
            let graph = std::fs::read(dir.path().join(format!("{name}.onnx")))?;
            let text = String::from_utf8_lossy(&graph);
            for word in ["tokens", "condition_noise", "LSTM", "image64", "drgan.tokenizer"] {
                assert!(text.contains(word), "{name}: {word}");
            }
            for (k, captions) in BATCHES.iter().enumerate() {
                let (tensors, _) =
                    safetensors::load(&dir.path().join(format!("{name}-{k}.safetensors")), &HOST)?;
                assert_eq!(tensors["image64"].dims(), [captions.len(), 3, 64, 64]);
                let flat = tensors["image64"].flatten_all()?;
                let spread = (flat.max(0)?.to_scalar::<f32>()? - flat.min(0)?.to_scalar::<f32>()?).abs();
                assert!(spread > 0.1, "{name}: an image without contrast shows no difference");
            }
        }
        Ok(())
    }
}
