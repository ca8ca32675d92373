//! The generator and its parts, at the width of the default run.
use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use drgan_benches::{forward_and_backward, text, values};
use drgan_sdm::{Disentangle, FirstStage, GeneratorConfig, StageGenerator, WordAttention};
use drgan_tensor::{Ctx, FromConfig, Generator, Mode, ParamStore, Result};

const B: usize = 4;
const CPU: Device = Device::Cpu;

fn config() -> GeneratorConfig {
    GeneratorConfig { base: 16, ngf: 32, text_dim: 128, ..GeneratorConfig::default() }
}

fn parts(c: &mut Criterion) {
    let mut run = || -> Result<()> {
        let (cfg, store, ctx) = (config(), ParamStore::seeded(0), Ctx::new(Mode::Frozen, 0));
        let vb = store.builder(DType::F32, &CPU);
        let maps = [B, cfg.ngf, cfg.side(1), cfg.side(1)];

        let attention = WordAttention::new(cfg.text_dim, cfg.ngf, vb.pp("attention"))?;
        let words = text(B, cfg.text_dim, 12)?;
        forward_and_backward(c, "sdm/attention", &maps, |h| {
            attention.attend(h, &words.words, &words.mask).map(|(context, _)| context)
        });

        let disentangle = Disentangle::new(cfg.ngf, cfg.mask(), vb.pp("disentangle"))?;
        forward_and_backward(c, "sdm/disentangle", &maps, |h| {
            disentangle.split(h, &Ctx::new(Mode::Eval, 0)).map(|s| s.key)
        });

        let stage = FirstStage::new(&cfg, vb.pp("stage"))?;
        let condition = values(&[B, cfg.nc])?;
        forward_and_backward(c, "sdm/stage", &[B, cfg.nz], |z| stage.forward(&condition, z, &ctx));
        Ok(())
    };
    run().expect("parts of the generator");
}

fn generator(c: &mut Criterion) {
    let (cfg, store) = (config(), ParamStore::seeded(0));
    let generator = StageGenerator::from_config(&cfg, store.builder(DType::F32, &CPU)).expect("a generator");
    let words = text(B, cfg.text_dim, 12).expect("captions");
    let mut ctx = Ctx::new(Mode::Frozen, 0);
    forward_and_backward(c, "sdm/generator", &[B, cfg.nz], |z| -> Result<Tensor> {
        let stages = generator.generate(z, &words, &mut ctx)?.stages;
        let images =
            stages.iter().map(|s| s.image.flatten_from(1)).collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Tensor::cat(&images, 1)?)
    });
}

criterion_group!(benches, parts, generator);
criterion_main!(benches);
