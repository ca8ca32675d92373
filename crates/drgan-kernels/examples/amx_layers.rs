//! Times the convolutions of the `birds` generator, one picture, in bf16 on the matrix unit.
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use candle_core::{Device, Result, Tensor};
use drgan_kernels::{Activation, Conv2dSpec, amx_times};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many, channels in and out (before a gated linear unit), side of the input, kernel; `up` for doubling.
type Layer = (usize, usize, usize, usize, usize, bool, Activation, bool);

fn main() -> Result<()> {
    drgan_kernels::keep_candle_on_one_thread();
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
    let mut total = (0., 0.);
    for (times, c, o, side, k, up, act, add) in layers {
        let x = Tensor::randn(0f32, 1., (batch, c, side, side), &Device::Cpu)?;
        let weight = Tensor::randn(0f32, 0.05, (o, c, k, k), &Device::Cpu)?;
        let out = if up { 2 * side } else { side };
        let plus =
            Tensor::zeros((batch, act.channels_out(o), out, out), candle_core::DType::F32, &Device::Cpu)?;
        let spec = Conv2dSpec::new(1, k / 2);
        let plus = add.then_some(&plus);
        let Some(mut seconds) = amx_times(&x, &weight, spec, up, act, plus, runs)? else {
            println!("this machine has no AMX bf16");
            return Ok(());
        };
        seconds.sort_by(f64::total_cmp);
        let (least, median) = (seconds[0] * 1e3, seconds[runs / 2] * 1e3);
        let flops = 2. * (batch * c * o * k * k * out * out) as f64;
        let name = format!(
            "{c:>4} -> {o:>4} at {side:>3}, {k}x{k}{}, {act:?}{}",
            if up { ", up" } else { "" },
            if add { ", plus" } else { "" }
        );
        println!(
            "{times} x {name:<46} {least:>8.3} ms, median {median:>8.3}, {:>7.0} GFLOP/s",
            flops / least / 1e6
        );
        total = (total.0 + times as f64 * least, total.1 + times as f64 * median);
    }
    println!("all: {:.2} ms, by medians {:.2}", total.0, total.1);
    Ok(())
}
