//! A whole step of the GAN: generator, three discriminators, DAMSM, all backward passes and optimizers, in the program's
//! own surroundings (its allocator, candle on one thread).
use candle_core::{DType, Device, Result};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use drgan_benches::{text, values};
use drgan_tensor::ParamStore;
use drgan_tensor::ops::Recycle;
use drgan_tensor::testing::Fill;
use drgan_text::{BackboneKind, DamsmImageEncoder, ImageEncoderConfig};
use drgan_train::config::{Overrides, RunConfig};
use drgan_train::networks::Networks;
use drgan_train::step::{self, Judge, StepBatch};
use mimalloc::MiMalloc;
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Recycle<MiMalloc> = Recycle::new(MiMalloc);

const B: usize = 4;

/// A preset's step at a batch of [`B`]; the backbone's weights are made up where none are embedded.
fn whole(c: &mut Criterion, preset: &str, seconds: u64) {
    let set = [format!("loader.batch={B}")];
    let cfg = RunConfig::resolve(preset, &Overrides { file: None, set: &set }).expect("a preset");
    let image_cfg = ImageEncoderConfig {
        backbone: cfg.image_encoder.backbone,
        side: (cfg.image_encoder.backbone == BackboneKind::EfficientNetLite0)
            .then_some(cfg.image_encoder.side),
        words_dim: cfg.text.words_dim,
    };
    let projection = ParamStore::seeded(0).builder(DType::F32, &Device::Cpu);
    let encoder = DamsmImageEncoder::from_config(&image_cfg, Fill::new("step", "").builder(), projection);
    let encoder = encoder.expect("an image encoder");
    let mut networks = Networks::new(&cfg).expect("networks");
    let judge = Judge { encoder: &encoder, gammas: cfg.damsm.gammas, loss: &cfg.loss };
    let images: Result<Vec<_>> = cfg.sides().into_iter().map(|s| values(&[B, 3, s, s])).collect();
    let batch = StepBatch {
        images: images.expect("pictures"),
        text: text(B, cfg.text.words_dim, cfg.damsm.max_words).expect("captions"),
        groups: (0..B as i64).collect(),
    };
    let mut group = c.benchmark_group(format!("step/{preset}/cpu"));
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(seconds))
        .throughput(Throughput::Elements(B as u64));
    group.bench_function(BenchmarkId::from_parameter(format!("B{B}")), |bench| {
        // Learning rates of 0: all the work of a step, and every step the same.
        let mut run = || step::step(&mut networks.hero, &mut networks.adversaries, &judge, &batch, 0.);
        bench.iter(|| black_box(run().expect("a step")));
    });
    group.finish();
}

fn presets(c: &mut Criterion) {
    whole(c, "emoji-64", 10);
    whole(c, "birds", 60);
}

criterion_group!(benches, presets);

fn main() {
    drgan_tensor::ops::keep_candle_on_one_thread();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
