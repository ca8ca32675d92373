//! Times steps of the GAN with synthetic images and made-up backbone weights, and says how much memory they take.
//!
//! `cargo run --release --example step [PRESET] [BATCH] [STEPS]`, by default `birds 4 3`.
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use candle_core::{DType, Device, Tensor};
use drgan_tensor::ops::CachingAllocator;
use drgan_tensor::testing::Fill;
use drgan_tensor::{ParamStore, TextFeatures};
use drgan_text::{DamsmImageEncoder, ImageEncoderConfig};
use drgan_train::config::{Overrides, RunConfig};
use drgan_train::gan::{Networks, Objective, StepBatch};
use mimalloc::MiMalloc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: CachingAllocator<MiMalloc> = CachingAllocator::new(MiMalloc);

fn values(shape: &[usize]) -> candle_core::Result<Tensor> {
    let n: usize = shape.iter().product();
    Tensor::from_iter((0..n).map(|i| (i as f32 * 0.73 + 0.1).sin()), &Device::Cpu)?.reshape(shape)
}

/// The process's largest resident size so far, in MiB, where the system tells.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    drgan_tensor::ops::limit_candle_threads();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |i: usize, default: &str| args.get(i).map_or_else(|| default.to_owned(), Clone::clone);
    let (preset, b, steps): (_, usize, usize) = (arg(0, "birds"), arg(1, "4").parse()?, arg(2, "3").parse()?);
    let cfg = RunConfig::resolve(&preset, &Overrides { file: None, set: &[format!("loader.batch={b}")] })?;

    let image_cfg = ImageEncoderConfig { backbone: cfg.image_encoder.backbone, side: cfg.image_encoder.side };
    let projection = ParamStore::seeded(cfg.seed);
    let encoder = DamsmImageEncoder::from_config(
        &image_cfg,
        cfg.text.words_dim,
        Fill::new("step", "").builder(),
        projection.builder(DType::F32, &Device::Cpu),
    )?;
    let mut networks = Networks::new(&cfg, &Device::Cpu)?;
    let objective = Objective { image_encoder: &encoder, gammas: cfg.damsm.gammas, weights: &cfg.loss };
    let (d, t) = (cfg.text.words_dim, cfg.damsm.max_words);
    let batch = StepBatch {
        images: cfg.sides().into_iter().map(|s| values(&[b, 3, s, s])).collect::<Result<_, _>>()?,
        text: TextFeatures {
            words: values(&[b, d, t])?,
            sentence: values(&[b, d])?,
            mask: Tensor::zeros((b, t), DType::U8, &Device::Cpu)?,
            lens: vec![t; b],
        },
        labels: (0..b as i64).collect::<Vec<_>>().into(),
    };
    println!("before the first step: {:.0} MiB", peak_mib().unwrap_or_default());
    for i in 0..steps as u64 {
        let start = Instant::now();
        let scalars = networks.step(i, &objective, &batch, 1.)?;
        let seconds = start.elapsed().as_secs_f64();
        let named: Vec<String> = scalars.iter().map(|(name, v)| format!("{name} {v:.4}")).collect();
        let (peak, maps) = (peak_mib().unwrap_or_default(), ALLOCATOR.peak() as f64 / f64::from(1 << 20));
        println!(
            "step {i}: {seconds:.3} s, peak {peak:.0} MiB, large blocks {maps:.0} MiB; {}",
            named.join(", ")
        );
    }
    Ok(())
}
