//! The discriminators with their VAEs, at the width of the default run.
use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use drgan_benches::{forward_and_backward, values};
use drgan_dnm::{DiscriminatorConfig, StageDiscriminator};
use drgan_tensor::{Ctx, Discriminator, FromConfig, Mode, ParamStore, Result};

const B: usize = 4;

fn discriminators(c: &mut Criterion) {
    for side in [16, 32, 64] {
        let cfg = DiscriminatorConfig { side, base: 16, text_dim: 128, ..DiscriminatorConfig::default() };
        let store = ParamStore::seeded(0);
        let vb = store.builder(DType::F32, &Device::Cpu);
        let d = StageDiscriminator::from_config(&cfg, vb).expect("a discriminator");
        let sentence = values(&[B, cfg.text_dim]).expect("sentences");
        let mut ctx = Ctx::new(Mode::Frozen, 0);
        let shape = [B, 3, side, side];
        forward_and_backward(c, &format!("dnm/discriminator{side}"), &shape, |x| -> Result<Tensor> {
            let out = d.discriminate(x, &sentence, &mut ctx)?;
            let logits = [&out.unconditional, &out.conditional, &out.reconstruction];
            let flat = logits.map(|t| t.flatten_all());
            Ok(Tensor::cat(&flat.into_iter().collect::<candle_core::Result<Vec<_>>>()?, 0)?)
        });
    }
}

criterion_group!(benches, discriminators);
criterion_main!(benches);
