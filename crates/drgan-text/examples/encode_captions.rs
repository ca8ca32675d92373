//! Captions to word and sentence features, with fresh weights.
//!
//! `cargo run --release --example encode_captions -- --device cpu`; without a device on the fastest there is.
use candle_core::DType;
use drgan_tensor::device::DeviceRequest;
use drgan_tensor::{Ctx, FromConfig, Mode, ParamStore, Result, TextEncoder};
use drgan_text::{BiLstmEncoder, TextEncoderConfig, Tokenize, Tokenizer, Vocabulary, WordRule};

#[expect(clippy::print_stdout, reason = "an example shows what it made")]
fn main() -> Result<()> {
    let dev = DeviceRequest::of_arguments(std::env::args().skip(1))?.open()?;
    let captions = ["a small red bird with a short beak", "this bird is blue"];
    let tokenizer = Tokenizer::new(&Vocabulary::from_captions(captions, WordRule::default())?)?;
    let (tokens, _) = tokenizer.batch(&captions, 18, &dev)?;
    let cfg = TextEncoderConfig { vocab_size: tokenizer.vocab_size(), ..Default::default() };
    let store = ParamStore::seeded(1);
    let encoder = BiLstmEncoder::from_config(&cfg, store.builder(DType::F32, &dev))?;
    let text = encoder.encode_text(&tokens, &mut Ctx::new(Mode::Eval, 1))?;
    println!("words {:?}, sentence {:?}, lengths {:?}", text.words.dims(), text.sentence.dims(), text.lens);
    Ok(())
}
