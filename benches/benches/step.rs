//! A whole step of the GAN: generator, three discriminators, DAMSM, all backward passes and optimizers, in the program's
//! own surroundings (its allocator, candle on one thread).
use candle_core::Result;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use drgan_benches::{text, values};
use drgan_tensor::ops::Recycle;
use drgan_text::{Tokenizer, Vocabulary};
use drgan_train::config::{Overrides, RunConfig};
use drgan_train::encoders::Encoders;
use drgan_train::networks::Networks;
use drgan_train::step::{self, Judge, StepBatch};
use mimalloc::MiMalloc;
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Recycle<MiMalloc> = Recycle::new(MiMalloc);

const B: usize = 4;

fn whole(c: &mut Criterion) {
    let set = [format!("loader.batch={B}")];
    let cfg = RunConfig::resolve("emoji-64", &Overrides { file: None, set: &set }).expect("a preset");
    // The step reads features of captions, never captions: any vocabulary will do.
    let words = Vocabulary::from_captions(["a red heart"]).and_then(|v| Tokenizer::new(&v));
    let encoders = Encoders::new(&cfg, words.expect("a tokenizer")).expect("encoders");
    let mut networks = Networks::new(&cfg).expect("networks");
    let judge = Judge { encoder: &encoders.image, gammas: cfg.damsm.gammas, loss: &cfg.loss };
    let images: Result<Vec<_>> = cfg.sides().into_iter().map(|s| values(&[B, 3, s, s])).collect();
    let batch = StepBatch {
        images: images.expect("pictures"),
        text: text(B, cfg.text.words_dim, cfg.damsm.max_words).expect("captions"),
        groups: (0..B as i64).collect(),
    };
    let mut group = c.benchmark_group("step/emoji-64/cpu");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10))
        .throughput(Throughput::Elements(B as u64));
    group.bench_function(BenchmarkId::from_parameter(format!("B{B}")), |bench| {
        // Learning rates of 0: all the work of a step, and every step the same.
        let mut run = || step::step(&mut networks.hero, &mut networks.adversaries, &judge, &batch, 0.);
        bench.iter(|| black_box(run().expect("a step")));
    });
    group.finish();
}

criterion_group!(benches, whole);

fn main() {
    drgan_tensor::ops::keep_candle_on_one_thread();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
