//! The discriminators with their VAEs, one per stage.
use candle_core::{DType, Tensor};
use criterion::Criterion;
use drgan_benches::{Preset, device, values};
use drgan_dnm::StageDiscriminator;
use drgan_tensor::{Ctx, Discriminator, FromConfig, Mode, ParamStore, Result};

fn discriminators(c: &mut Criterion, preset: &Preset) {
    for side in preset.cfg.sides() {
        let cfg = preset.cfg.discriminator_at(side);
        let store = ParamStore::seeded(0);
        let vb = store.builder(DType::F32, &device());
        let d = StageDiscriminator::from_config(&cfg, vb).expect("a discriminator");
        let sentence = values(&preset.shape(&[cfg.text_dim])).expect("sentences");
        let mut ctx = Ctx::new(Mode::Frozen, 0);
        preset.both(c, &format!("dnm/discriminator{side}"), &[3, side, side], |x| -> Result<Tensor> {
            let out = d.discriminate(x, &sentence, &mut ctx)?;
            let logits = [&out.unconditional, &out.conditional, &out.reconstruction];
            let flat = logits.map(|t| t.flatten_all());
            Ok(Tensor::cat(&flat.into_iter().collect::<candle_core::Result<Vec<_>>>()?, 0)?)
        });
    }
}

fn main() {
    drgan_benches::run(&[discriminators]);
}
