//! Helpers shared by the benchmarks.
use criterion::{Bencher, BenchmarkGroup, measurement::WallTime};
use std::hint::black_box;

/// Times `f`, its result kept from the optimizer.
pub fn timed<T>(b: &mut Bencher<'_>, mut f: impl FnMut() -> T) {
    b.iter(|| black_box(f()));
}

/// Few, long samples: a training step is not a nanosecond function.
pub fn heavy(g: &mut BenchmarkGroup<'_, WallTime>) {
    g.sample_size(10).measurement_time(std::time::Duration::from_secs(3));
}
