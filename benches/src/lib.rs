//! Helpers shared by the benchmarks.
//!
//! Names are `MODULE/WHAT/DEVICE/PASS/SIZE`, e.g. `sdm/stage/cpu/forward/B4`; throughput counts images.
use candle_core::{DType, Device, Result, Tensor, Var};
use criterion::{BenchmarkId, Criterion, Throughput};
use drgan_tensor::TextFeatures;
use std::hint::black_box;
use std::time::Duration;

/// Reproducible values in [-1, 1] with nothing special about them: sines of a step that hits no period.
///
/// # Errors
/// Whatever candle reports.
pub fn values(shape: &[usize]) -> Result<Tensor> {
    let n: usize = shape.iter().product();
    Tensor::from_iter((0..n).map(|i| (i as f32 * 0.73 + 0.1).sin()), &Device::Cpu)?.reshape(shape)
}

/// Benchmarks `f` at an input of `shape`, whose first axis is the batch: `forward`, of a constant, and
/// `forward+backward`, with the gradient of the output's mean square to the input and to whatever else `f` makes of
/// variables.
///
/// # Panics
/// If `f` fails: a benchmark has nobody to report to.
pub fn forward_and_backward<E: std::fmt::Debug>(
    c: &mut Criterion,
    name: &str,
    shape: &[usize],
    mut f: impl FnMut(&Tensor) -> std::result::Result<Tensor, E>,
) {
    let mut group = c.benchmark_group(format!("{name}/cpu"));
    // Few, long samples: a layer is no function of nanoseconds.
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::Elements(shape[0] as u64));
    let size = format!("B{}", shape[0]);
    let x = values(shape).expect("an input");
    group.bench_function(BenchmarkId::new("forward", &size), |b| {
        b.iter(|| black_box(f(&x).expect("forward")));
    });
    let x = Var::from_tensor(&x).expect("a variable");
    let backward = |y: &Tensor| y.sqr()?.mean_all()?.backward();
    group.bench_function(BenchmarkId::new("forward+backward", &size), |b| {
        b.iter(|| black_box(backward(&f(x.as_tensor()).expect("forward")).expect("backward")));
    });
    group.finish();
}

/// A learnable tensor of `shape`, scaled as a convolution's weight is.
///
/// # Errors
/// Whatever candle reports.
pub fn weight(shape: &[usize]) -> Result<Tensor> {
    let fan_in: usize = shape[1..].iter().product();
    let scaled = (values(shape)? * (1. / (fan_in.max(1) as f64).sqrt()))?;
    Ok(Var::from_tensor(&scaled.to_dtype(DType::F32)?)?.as_tensor().clone())
}

/// A batch of `b` captions' features: words `(b, d, t)`, the sentence `(b, d)`, no padding.
///
/// # Errors
/// Whatever candle reports.
pub fn text(b: usize, d: usize, t: usize) -> Result<TextFeatures> {
    Ok(TextFeatures {
        words: values(&[b, d, t])?,
        sentence: values(&[b, d])?,
        mask: Tensor::zeros((b, t), DType::U8, &Device::Cpu)?,
        lens: vec![t; b],
    })
}
