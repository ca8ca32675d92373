//! The generator and its parts, and the real image path.
use candle_core::{DType, Tensor};
use criterion::Criterion;
use drgan_benches::{Inference, Preset, device, values};
use drgan_sdm::{Disentangle, FirstStage, RealImagePath, RefineStage, StageGenerator, WordAttention};
use drgan_tensor::ops::Precision;
use drgan_tensor::{Ctx, FromConfig, Generator, Mode, ParamStore, Result};

/// One of each, the largest: that in front of the finest image. The stages before differ in their side only.
fn parts(c: &mut Criterion, preset: &Preset) {
    let mut run = || -> Result<()> {
        let (cfg, store, ctx) = (&preset.cfg.generator, ParamStore::seeded(0), Ctx::new(Mode::Frozen, 0));
        let vb = store.builder(DType::F32, &device());
        let last = cfg.stages - 1;
        let (words, side) = (preset.captions(), cfg.side(last - 1));
        let maps = [cfg.ngf, side, side];

        let attention = WordAttention::new(cfg.text_dim, cfg.ngf, vb.pp("attention"))?;
        preset.both(c, "sdm/attention", &maps, |h| {
            attention.attend(h, &words.words, &words.mask).map(|(context, _)| context)
        });

        let disentangle = Disentangle::new(cfg.ngf, cfg.mask(), vb.pp("disentangle"))?;
        preset.both(c, "sdm/disentangle", &maps, |h| disentangle.split(h, &ctx).map(|s| s.key));

        let stage = FirstStage::new(cfg, vb.pp("stage"))?;
        let condition = values(&preset.shape(&[cfg.nc]))?;
        preset.both(c, "sdm/stage", &[cfg.nz], |z| stage.forward(&condition, z, &ctx));

        let refine = RefineStage::new(cfg, vb.pp("next"))?;
        preset.both(c, "sdm/refine_stage", &maps, |h| refine.forward(h, &words, &ctx).map(|r| r.features));

        let path = RealImagePath::from_config(&cfg.real_image(), vb.pp("path"))?;
        preset.both(c, "sdm/real_image", &[3, side, side], |x| path.encode(last, x, &ctx));
        Ok(())
    };
    run().expect("parts of the generator");
}

fn generator(c: &mut Criterion, preset: &Preset) {
    let (cfg, store) = (&preset.cfg.generator, ParamStore::seeded(0));
    let generator =
        StageGenerator::from_config(cfg, store.builder(DType::F32, &device())).expect("a generator");
    let (words, mut ctx) = (preset.captions(), Ctx::new(Mode::Frozen, 0));
    preset.both(c, "sdm/generator", &[cfg.nz], |z| -> Result<Tensor> {
        let stages = generator.generate(z, &words, &mut ctx)?.stages;
        let images =
            stages.iter().map(|s| s.image.flatten_from(1)).collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Tensor::cat(&images, 1)?)
    });
}

/// Benchmarks the packed generator, as `drgan sample` draws with it.
fn packed(c: &mut Criterion, preset: &Preset) {
    for (name, precision) in
        [("sdm/packed_generator", Precision::F32), ("sdm/packed_generator_bf16", Precision::Bf16)]
    {
        let inference = Inference::new(&preset.cfg, preset.batch, precision, &device());
        let inference = inference.expect("a packed generator");
        preset.forward(c, name, &[], |_| inference.draw());
    }
}

fn main() {
    drgan_benches::run(&[parts, generator, packed]);
}
