//! Times the packed convolutions of the `birds` generator, one image, in both precisions: `layers [RUNS] [BATCH]`.
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use candle_core::{Device, Result, Tensor};
use drgan_kernels::{Activation, Conv2dSpec, PackedConv, PackedSpec, Precision};
use std::hint::black_box;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many, channels in and out (before a gated linear unit), side of the input, kernel; `upsample` for doubling.
type Layer = (usize, usize, usize, usize, usize, bool, Activation, bool);

fn main() -> Result<()> {
    drgan_kernels::limit_candle_threads();
    let (glu, plain, relu) = (Activation::Glu, Activation::Identity, Activation::Relu);
    let stage = |side: usize| -> Vec<Layer> {
        vec![
            (2, 128, 256, side, 3, false, glu, false),
            (2, 128, 128, side, 3, false, plain, true),
            (2, 64, 128, side, 3, false, glu, false),
            (2, 64, 64, side, 3, false, plain, true),
            (2, 64, 64, side, 3, false, relu, false),
            (2, 64, 64, side, 1, false, plain, false),
            (1, 128, 128, side, 3, true, glu, false),
        ]
    };
    let mut layers: Vec<Layer> = [(1024, 4), (512, 8), (256, 16), (128, 32)]
        .into_iter()
        .map(|(c, side)| (1, c, c, side, 3, true, glu, false))
        .collect();
    layers.extend(stage(64));
    layers.extend(stage(128));
    layers.extend([64, 128, 256].map(|side| (1, 64, 3, side, 3, false, plain, false)));
    let runs: usize = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(30);
    let batch: usize = std::env::args().nth(2).and_then(|a| a.parse().ok()).unwrap_or(1);
    if !Precision::Bf16.is_native() {
        println!("no bf16 on this machine: f32 in its place");
    }
    let mut total = (0., 0.);
    for (times, c, o, side, k, upsample, act, add) in layers {
        let x = Tensor::randn(0f32, 1., (batch, c, side, side), &Device::Cpu)?;
        let weight = Tensor::randn(0f32, 0.05, (o, c, k, k), &Device::Cpu)?;
        let out = if upsample { 2 * side } else { side };
        let residual =
            Tensor::zeros((batch, act.channels_out(o), out, out), candle_core::DType::F32, &Device::Cpu)?;
        let spec = Conv2dSpec::new(1, k / 2);
        let residual = add.then_some(&residual);
        let mut least = [0.; 2];
        for (precision, least) in [Precision::F32, Precision::Bf16].into_iter().zip(&mut least) {
            let spec = PackedSpec::new(spec, act).with_upsample(upsample).with_precision(precision);
            let layer = PackedConv::new(&weight, None, None, spec)?;
            let mut seconds = Vec::with_capacity(runs);
            for _ in 0..runs {
                let start = Instant::now();
                black_box(layer.forward(&x, residual)?);
                seconds.push(start.elapsed().as_secs_f64());
            }
            *least = seconds.into_iter().fold(f64::INFINITY, f64::min) * 1e3;
        }
        let flops = 2. * (batch * c * o * k * k * out * out) as f64 / 1e6;
        let name = format!(
            "{c:>4} -> {o:>4} at {side:>3}, {k}x{k}{}, {act:?}{}",
            if upsample { ", upsample" } else { "" },
            if add { ", residual" } else { "" }
        );
        let [f32s, bf16] = least;
        println!(
            "{times} x {name:<46} f32 {f32s:>8.3} ms {:>6.0} GFLOP/s, bf16 {bf16:>8.3} ms {:>6.0} GFLOP/s",
            flops / f32s,
            flops / bf16
        );
        total = (total.0 + times as f64 * f32s, total.1 + times as f64 * bf16);
    }
    println!("all: f32 {:.2} ms, bf16 {:.2} ms", total.0, total.1);
    Ok(())
}
