//! The text encoder's recurrence and the image encoder of the preset.
use candle_core::{DType, Tensor};
use criterion::Criterion;
use drgan_benches::{Preset, device, image_encoder};
use drgan_tensor::{Ctx, FromConfig, ImageEncoder, Mode, ParamStore, Result, TextEncoder, TokenBatch};
use drgan_text::BiLstmEncoder;

fn sentences(c: &mut Criterion, preset: &Preset) {
    let (cfg, store) = (&preset.cfg.text, ParamStore::seeded(0));
    let encoder = BiLstmEncoder::from_config(cfg, store.builder(DType::F32, &device())).expect("an encoder");
    let (b, t, words) = (preset.batch, preset.cfg.damsm.max_words, cfg.vocab_size - 1);
    let ids = Tensor::from_iter((0..b * t).map(|i| (i % words) as u32 + 1), &device());
    let ids = ids.and_then(|ids| ids.reshape((b, t))).expect("tokens");
    let tokens = TokenBatch { ids, lens: vec![t; b] };
    let mut ctx = Ctx::new(Mode::Frozen, 0);
    // The input scales the output: token ids carry no gradient, the weights do.
    preset.both(c, "text/bi_lstm", &[1], |scale| -> Result<Tensor> {
        Ok(encoder.encode_text(&tokens, &mut ctx)?.sentence.broadcast_mul(scale)?)
    });
}

/// The finest image to regions and code; the gradient to the image, as in a step.
fn images(c: &mut Criterion, preset: &Preset) {
    let encoder = image_encoder(&preset.cfg, &device()).expect("an encoder");
    let name = format!("text/{}", preset.cfg.image_encoder.backbone.name().replace('-', "_"));
    let side = preset.cfg.loader().finest();
    preset.both(c, &name, &[3, side, side], |x| -> Result<Tensor> {
        let seen = encoder.encode_image(x)?;
        Ok(Tensor::cat(&[seen.regions.flatten_from(1)?, seen.code], 1)?)
    });
}

fn main() {
    drgan_benches::run(&[sentences, images]);
}
