//! A model of a few thousand weights for this crate's tests.
use crate::{CaptionEncoder, Model, ModelConfig};
use candle_core::DType;
use drgan_sdm::{GeneratorConfig, StageGenerator};
use drgan_tensor::device::HOST;
use drgan_tensor::{FromConfig, ParamStore, Result, init};
use drgan_text::{TextEncoderConfig, Tokenizer, Vocabulary, WordRule};

/// Untrained, of 16 and 32 pixels, and with eight words.
pub(crate) fn small_model() -> Result<Model> {
    let device = HOST;
    let words = ["a red heart", "a blue square", "a green cat face"];
    let tokenizer = Tokenizer::new(&Vocabulary::from_captions(words, WordRule::default())?)?;
    let text = TextEncoderConfig { embedding: 6, words_dim: 8, ..Default::default() };
    let captions =
        CaptionEncoder::new(&text, Box::new(tokenizer), 6, ParamStore::seeded(1), DType::F32, &device)?;
    let generator = GeneratorConfig {
        base: 16,
        stages: 2,
        ngf: 8,
        text_dim: 8,
        nz: 4,
        nc: 4,
        residual_blocks: 1,
        ..Default::default()
    };
    let weights = ParamStore::seeded(2);
    StageGenerator::from_config(&generator, weights.builder(DType::F32, &device))?;
    init::gan(&weights)?;
    let config =
        ModelConfig { name: "small".to_owned(), max_words: 6, text, generator, ..ModelConfig::default() };
    Ok(Model::new(config, captions, weights))
}
