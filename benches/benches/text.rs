//! The text encoder's recurrence and the small image encoder.
use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use drgan_benches::forward_and_backward;
use drgan_tensor::{Ctx, FromConfig, Mode, ParamStore, Result, TextEncoder, TokenBatch};
use drgan_text::{Backbone, BiLstmEncoder, EfficientNetLite0, TextEncoderConfig};

const B: usize = 4;
const CPU: Device = Device::Cpu;

fn sentences(c: &mut Criterion) {
    let store = ParamStore::seeded(0);
    let cfg = TextEncoderConfig { vocab_size: 1000, ..TextEncoderConfig::default() };
    let encoder = BiLstmEncoder::from_config(&cfg, store.builder(DType::F32, &CPU)).expect("an encoder");
    let ids =
        Tensor::from_iter((0..B * 12).map(|i| (i % 999) as u32 + 1), &CPU).and_then(|t| t.reshape((B, 12)));
    let tokens = TokenBatch { ids: ids.expect("tokens"), lens: vec![12; B] };
    let mut ctx = Ctx::new(Mode::Frozen, 0);
    // The input scales the output: token ids carry no gradient, the weights do.
    forward_and_backward(c, "text/bi_lstm", &[B, 1], |scale| -> Result<Tensor> {
        Ok(encoder.encode_text(&tokens, &mut ctx)?.sentence.broadcast_mul(scale)?)
    });
}

fn images(c: &mut Criterion) {
    let store = ParamStore::seeded(0);
    EfficientNetLite0::new(Some(128), store.builder(DType::F32, &CPU)).expect("an encoder");
    let frozen = EfficientNetLite0::new(Some(128), store.frozen(DType::F32, &CPU)).expect("an encoder");
    forward_and_backward(c, "text/efficientnet_lite0", &[B, 3, 64, 64], |x| {
        frozen.features(x).map(|f| f.map)
    });
}

criterion_group!(benches, sentences, images);
criterion_main!(benches);
