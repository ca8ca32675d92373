//! What the benchmarks and the measuring programs (`src/bin`) share.
//!
//! Names are `MODULE/WHAT/DEVICE/PASS/SIZE`. The device is the CPU, or the one that the variable DRGAN_BENCH_DEVICE names
//! (`cargo xtask bench --device cuda` sets it); an iteration ends when the device has done it. Sizes are those of a [`Preset`]: `sdm/stage/cpu/forward/B4` is `birds`, the full
//! size, at batch 4; `sdm/stage/cpu/forward/B16-emoji-64` the default run's at its batch. Throughput counts images.
mod preset;
mod whole;

pub use preset::{Preset, time};
pub use whole::{Inference, SALT, Step, captions, fill, image_encoder, resident};

use candle_core::{Device, Result, Tensor, Var};
use criterion::Criterion;
use drgan_tensor::device::{DeviceRequest, HOST};
use drgan_tensor::ops::{CachingAllocator, limit_candle_threads};
use mimalloc::MiMalloc;
use std::sync::OnceLock;

/// The allocator of the `drgan` binary.
#[global_allocator]
static ALLOCATOR: CachingAllocator<MiMalloc> = CachingAllocator::new(MiMalloc);

/// Runs every benchmark at every preset's sizes, in the program's own surroundings: its allocator, candle on one thread, on a
/// thread of the pool, which need not be woken for every operation.
pub fn run(benchmarks: &[fn(&mut Criterion, &Preset)]) {
    limit_candle_threads();
    rayon::scope(|_| {
        let mut c = Criterion::default().configure_from_args();
        for preset in Preset::all() {
            benchmarks.iter().for_each(|of| of(&mut c, &preset));
        }
        c.final_summary();
    });
}

/// Where benchmarks compute: the CPU, or the device that DRGAN_BENCH_DEVICE names.
///
/// # Panics
/// If that is no device, or one that cannot be opened: a benchmark has nobody to report to.
pub fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let open = || match std::env::var("DRGAN_BENCH_DEVICE") {
        Err(_) => HOST,
        Ok(name) => {
            let opened = name.parse::<DeviceRequest>().and_then(DeviceRequest::open);
            opened.unwrap_or_else(|e| panic!("DRGAN_BENCH_DEVICE: {e}"))
        }
    };
    DEVICE.get_or_init(open).clone()
}

/// Reproducible values on [`device`] in [-1, 1] with nothing special about them: sines of a step that hits no period.
///
/// # Errors
/// Whatever candle reports.
pub fn values(shape: &[usize]) -> Result<Tensor> {
    let n: usize = shape.iter().product();
    Tensor::from_iter((0..n).map(|i| (i as f32 * 0.73 + 0.1).sin()), &device())?.reshape(shape)
}

/// A constant of `shape`, scaled as a convolution's weight is.
///
/// # Errors
/// Whatever candle reports.
pub fn constant(shape: &[usize]) -> Result<Tensor> {
    let fan_in: usize = shape[1..].iter().product();
    values(shape)? * (1. / (fan_in.max(1) as f64).sqrt())
}

/// [`constant`], learnable.
///
/// # Errors
/// Whatever candle reports.
pub fn weight(shape: &[usize]) -> Result<Tensor> {
    Ok(Var::from_tensor(&constant(shape)?)?.into_inner())
}
