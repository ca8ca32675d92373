//! Sizes of the benchmarks: those of a preset's configuration, and how each is measured.
use crate::{captions, device, values};
use candle_core::{Device, Tensor, Var};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use drgan_tensor::{Ctx, Mode, TextFeatures};
use drgan_train::config::{Overrides, RunConfig};
use std::fmt::Debug;
use std::hint::black_box;
use std::time::Duration;

/// A preset, and how many images a benchmark at its sizes works on.
#[derive(Debug)]
pub struct Preset {
    /// Where every size comes from.
    pub cfg: RunConfig,
    /// Images; [`RunConfig`]'s `loader.batch`.
    pub batch: usize,
}

impl Preset {
    /// The sizes that benchmarks run at: `birds` (the paper's widths, 256 pixels) at batch 4, since a step at its own 22 takes
    /// most of a minute; `emoji-64`, the default run, at its own batch.
    ///
    /// # Panics
    /// If there is no such preset.
    pub fn all() -> [Self; 2] {
        let resolve = |name: &str, set: &[String]| {
            let cfg = RunConfig::resolve(name, &Overrides { file: None, set }).expect("a preset");
            Self { batch: cfg.loader.batch, cfg }
        };
        [resolve("birds", &["loader.batch=4".to_owned()]), resolve("emoji-64", &[])]
    }

    /// The last part of a benchmark's name: `B4`, or `B16-emoji-64`. [`Preset::all`]'s first has no suffix.
    pub fn size(&self) -> String {
        self.sized("B", self.batch)
    }

    /// [`Preset::size`] of `n` of something else.
    pub fn sized(&self, of: &str, n: usize) -> String {
        let suffix = if self.cfg.preset == "birds" { String::new() } else { format!("-{}", self.cfg.preset) };
        format!("{of}{n}{suffix}")
    }

    /// Captions for a batch.
    ///
    /// # Panics
    /// If candle fails.
    pub fn captions(&self) -> TextFeatures {
        captions(&self.cfg, self.batch, &mut Ctx::new(Mode::Eval, 1), &device()).expect("captions")
    }

    /// The shape of a batch of `rest`.
    pub fn shape(&self, rest: &[usize]) -> Vec<usize> {
        [&[self.batch], rest].concat()
    }

    /// Benchmarks `f` at a batch of inputs of shape `rest` each: `forward`, of constants.
    ///
    /// # Panics
    /// If `f` fails: a benchmark has nobody to report to.
    pub fn forward<T, E: Debug>(
        &self,
        c: &mut Criterion,
        name: &str,
        rest: &[usize],
        mut f: impl FnMut(&Tensor) -> Result<T, E>,
    ) {
        let x = values(&self.shape(rest)).expect("an input");
        time(c, &device(), [name, "forward", &self.size()], self.batch, || {
            black_box(f(&x).expect("forward"));
        });
    }

    /// [`Preset::forward`], and `forward+backward`, with the gradient of the output's mean square to the input and to
    /// whatever else `f` makes of variables.
    ///
    /// # Panics
    /// If `f` fails.
    pub fn both<E: Debug>(
        &self,
        c: &mut Criterion,
        name: &str,
        rest: &[usize],
        mut f: impl FnMut(&Tensor) -> Result<Tensor, E>,
    ) {
        self.forward(c, name, rest, &mut f);
        let x = Var::from_tensor(&values(&self.shape(rest)).expect("an input")).expect("a variable");
        let backward = |y: &candle_core::Tensor| y.sqr()?.mean_all()?.backward();
        time(c, &device(), [name, "forward+backward", &self.size()], self.batch, || {
            black_box(backward(&f(x.as_tensor()).expect("forward")).expect("backward"));
        });
    }
}

/// Times `run`, which works on `n` images on this device, under `name/DEVICE/pass/size`, until the device has done it.
///
/// # Panics
/// If the device fails.
pub fn time(c: &mut Criterion, on: &Device, [name, pass, size]: [&str; 3], n: usize, mut run: impl FnMut()) {
    let mut group = c.benchmark_group(format!("{name}/{}", if on.is_cpu() { "cpu" } else { "cuda" }));
    // Few, long samples: a layer is no function of nanoseconds.
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .throughput(Throughput::Elements(n as u64));
    group.bench_function(BenchmarkId::new(pass, size), |b| {
        b.iter(|| {
            run();
            on.synchronize().expect("the device");
        });
    });
    group.finish();
}
