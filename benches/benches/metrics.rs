//! The measures, on feature sets of the size of a default evaluation.
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use drgan_benches::values;
use drgan_metrics::{kernel_distance, pair_distance, r_precision};
use std::hint::black_box;

const N: usize = 500;

fn measures(c: &mut Criterion) {
    let a = values(&[N, 320]).expect("features");
    let b = (&a * 0.7).expect("features");
    let groups: Vec<usize> = (0..N).map(|i| i / 4).collect();
    let texts: Vec<String> = (0..N).map(|i| format!("caption {i}")).collect();
    let mut group = c.benchmark_group("metrics");
    group.sample_size(10).throughput(Throughput::Elements(N as u64));
    group.bench_function(BenchmarkId::new("kernel_distance/cpu/value", N), |bench| {
        bench.iter(|| black_box(kernel_distance(&a, &b).expect("a distance")));
    });
    group.bench_function(BenchmarkId::new("pair_distance/cpu/value", N), |bench| {
        bench.iter(|| black_box(pair_distance(&a, &groups).expect("a distance")));
    });
    group.bench_function(BenchmarkId::new("r_precision/cpu/value", N), |bench| {
        bench.iter(|| black_box(r_precision(&a, &b, &texts, 100, 0).expect("a precision")));
    });
    group.finish();
}

criterion_group!(benches, measures);
criterion_main!(benches);
