//! Oracles of the kernels' tests: the references in f64, and finite differences for the references themselves.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use candle_core::{DType, Device, Result, Tensor, Var};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use std::sync::OnceLock;

/// Where the kernels under test run: the CPU, or the device that DRGAN_TEST_DEVICE names.
pub(crate) fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let open = || match std::env::var("DRGAN_TEST_DEVICE").as_deref() {
        Err(_) | Ok("cpu") => Device::Cpu,
        Ok("cuda") => drgan_kernels::open_cuda(0).unwrap(),
        Ok(other) => panic!("DRGAN_TEST_DEVICE: `{other}` is neither cpu nor cuda"),
    };
    DEVICE.get_or_init(open).clone()
}

/// Standard normal values, the same for the same seed.
pub(crate) fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| StandardNormal.sample(&mut rng)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// How inputs lie in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Layout {
    Contiguous,
    /// The last two axes swapped, so that a kernel has to bring them in order.
    Swapped,
}

/// Value of `f` and the gradients of `sum(cotangent f)`; `None` for inputs that are not in `tracked`.
pub(crate) fn run(
    inputs: &[Tensor],
    tracked: &[usize],
    layout: Layout,
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> (Tensor, Vec<Option<Tensor>>) {
    let swap = |t: &Tensor| match layout {
        Layout::Swapped if t.rank() >= 2 => t.transpose(t.rank() - 2, t.rank() - 1).unwrap(),
        _ => t.clone(),
    };
    let stored: Vec<Tensor> = inputs.iter().map(|t| swap(t).contiguous().unwrap()).collect();
    let leaves: Vec<Tensor> =
        stored
            .iter()
            .enumerate()
            .map(|(i, t)| {
                if tracked.contains(&i) {
                    Var::from_tensor(t).unwrap().as_tensor().clone()
                } else {
                    t.clone()
                }
            })
            .collect();
    let seen: Vec<Tensor> = leaves.iter().map(swap).collect();
    let y = f(&seen).unwrap();
    let cotangent = random(y.dims(), 99).to_dtype(y.dtype()).unwrap().to_device(y.device()).unwrap();
    let loss = (&y * &cotangent).unwrap().sum_all().unwrap();
    // Nothing tracked: no graph to go back through.
    let grads = if tracked.is_empty() { None } else { Some(loss.backward().unwrap()) };
    // An untracked input must have no gradient under any of its names.
    let grads = leaves
        .iter()
        .zip(&seen)
        .map(|(leaf, seen)| {
            let grads = grads.as_ref()?;
            grads.get(leaf).map(swap).or_else(|| grads.get(seen).cloned())
        })
        .collect();
    (y, grads)
}

fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Every value within `tolerance` times the largest of `want`, or times 1: sums of products of standard normal values that
/// cancel round as their terms do. Says where it is worst.
#[track_caller]
pub(crate) fn assert_near_largest(what: &str, got: &Tensor, want: &Tensor, tolerance: f64) {
    assert_eq!(got.dims(), want.dims(), "{what}: shape");
    let (got, want) = (values(got), values(want));
    let largest = want.iter().fold(1., |m: f64, v| m.max(v.abs()));
    let worst = got.iter().zip(&want).enumerate().map(|(i, (g, w))| (i, (g - w).abs(), *g, *w)).max_by(
        |(_, a, ..), (_, b, ..)| {
            let key = |d: f64| if d.is_nan() { f64::INFINITY } else { d };
            key(*a).total_cmp(&key(*b))
        },
    );
    if let Some((i, difference, got, want)) = worst {
        assert!(difference <= tolerance * largest, "{what}: at {i}: got {got:e}, want {want:e}");
    }
}

/// `fast` in f32 on [`device`] against `reference` in f64 on the CPU: value, gradients of all inputs together, of each alone, twice over with
/// the same bits.
#[track_caller]
pub(crate) fn assert_same(
    what: &str,
    inputs: &[Tensor],
    tolerance: f64,
    fast: impl Fn(&[Tensor]) -> Result<Tensor>,
    reference: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    compare(what, inputs, tolerance, fast, reference, true);
}

/// The same for an operation whose kernel is for devices alone: its reference, which runs on the CPU, has gradients of constants too, and
/// sums in an order that the layout decides, as candle's operations do.
#[track_caller]
pub(crate) fn assert_same_on_device(
    what: &str,
    inputs: &[Tensor],
    tolerance: f64,
    fast: impl Fn(&[Tensor]) -> Result<Tensor>,
    reference: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    compare(what, inputs, tolerance, fast, reference, !device().is_cpu());
}

#[track_caller]
fn compare(
    what: &str,
    inputs: &[Tensor],
    tolerance: f64,
    fast: impl Fn(&[Tensor]) -> Result<Tensor>,
    reference: impl Fn(&[Tensor]) -> Result<Tensor>,
    by_kernel: bool,
) {
    let exact: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F64).unwrap()).collect();
    let inputs: Vec<Tensor> = inputs.iter().map(|t| t.to_device(&device()).unwrap()).collect();
    let all: Vec<usize> = (0..inputs.len()).collect();
    let (want, want_grads) = run(&exact, &all, Layout::Contiguous, &reference);
    let sets = std::iter::once(all.clone()).chain(all.iter().map(|&i| vec![i])).chain([vec![]]);
    for tracked in sets {
        let (first, first_grads) = run(&inputs, &tracked, Layout::Contiguous, &fast);
        assert_eq!(first.dtype(), DType::F32);
        let layouts = [Layout::Contiguous, Layout::Swapped];
        for layout in layouts.into_iter().take(if by_kernel { 2 } else { 1 }) {
            let what = format!("{what}, {layout:?}, gradients of {tracked:?}");
            let (got, grads) = run(&inputs, &tracked, layout, &fast);
            assert_near_largest(&format!("{what}: value"), &got, &want, tolerance);
            assert_eq!(values(&got), values(&first), "{what}: other bits");
            for (i, (got, want)) in grads.iter().zip(&want_grads).enumerate() {
                let Some(got) = got else {
                    assert!(!tracked.contains(&i), "{what}: no gradient of input {i}");
                    continue;
                };
                if !tracked.contains(&i) {
                    assert!(!by_kernel, "{what}: a gradient of the constant input {i}");
                    continue;
                }
                assert_near_largest(&format!("{what}: gradient {i}"), got, want.as_ref().unwrap(), tolerance);
                assert_eq!(
                    values(got),
                    values(first_grads[i].as_ref().unwrap()),
                    "{what}: gradient {i}: other bits"
                );
            }
        }
    }
}

/// Gradients of `f` in f64 against central differences along random directions.
#[track_caller]
pub(crate) fn assert_differences(what: &str, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    const STEP: f64 = 1e-5;
    let inputs: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F64).unwrap()).collect();
    let all: Vec<usize> = (0..inputs.len()).collect();
    let (y, grads) = run(&inputs, &all, Layout::Contiguous, &f);
    let cotangent = random(y.dims(), 99).to_dtype(DType::F64).unwrap();
    for (i, grad) in grads.iter().enumerate() {
        for seed in 0..3 {
            let direction = random(inputs[i].dims(), 1000 + seed).to_dtype(DType::F64).unwrap();
            let at = |step: f64| {
                let mut moved = inputs.clone();
                moved[i] = (&moved[i] + (&direction * step).unwrap()).unwrap();
                values(&(f(&moved).unwrap() * &cotangent).unwrap()).iter().sum::<f64>()
            };
            let slope = (at(STEP) - at(-STEP)) / (2. * STEP);
            let grad = values(&(grad.as_ref().unwrap() * &direction).unwrap()).iter().sum::<f64>();
            let scale = slope.abs().max(1.);
            assert!(
                (slope - grad).abs() < 1e-6 * scale,
                "{what}: input {i}: differences {slope}, gradient {grad}"
            );
        }
    }
}
