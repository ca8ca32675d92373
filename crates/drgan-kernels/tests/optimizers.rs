//! Updates of all tensors of a network at once: as one tensor after the other on the CPU.
mod common;

use candle_core::{DType, Device, Result, Tensor, Var};
use common::{assert_near_largest, device, random};
use drgan_kernels::{
    AdamStep, AdamUpdate, adam_update, adam_update_all, ema_update, ema_update_all, global_norm, read_scalars,
};

/// Sizes around the number of values that a block takes. (On a CUDA device candle has no tensor without values.)
const SHAPES: [&[usize]; 5] = [&[3, 7], &[1], &[4096], &[2, 5000], &[4097]];

fn vars(seed: u64, on: &Device) -> Vec<Var> {
    let var = |(i, shape): (usize, &&[usize])| {
        Var::from_tensor(&random(shape, seed + i as u64).abs()?.to_device(on)?)
    };
    SHAPES.iter().enumerate().map(var).collect::<Result<_>>().expect("variables")
}

fn scalar<D: candle_core::WithDType>(value: D) -> Tensor {
    Tensor::new(value, &device()).expect("a scalar")
}

fn same(what: &str, got: &[Var], want: &[Var], tolerance: f64) {
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let got = got.as_detached_tensor().to_device(&Device::Cpu).expect("a copy");
        assert_near_largest(&format!("{what} {i}"), &got, want, tolerance);
    }
}

#[test]
fn adam_updates_all_as_it_does_each() {
    let sets = |on: &Device| [vars(1, on), vars(10, on), vars(20, on), vars(30, on)];
    let [p, g, m, v] = sets(&device());
    let [p1, g1, m1, v1] = sets(&Device::Cpu);
    for t in 1..4 {
        let step = AdamStep::new(t, 0.1, (0.5, 0.999), 1e-8).with_scale(0.7);
        let updates: Vec<AdamUpdate<'_>> = (0..p.len())
            .map(|i| AdamUpdate { parameter: &p[i], gradient: &g[i], m: &m[i], v: &v[i] })
            .collect();
        let guard = scalar(f64::from(f32::MAX));
        adam_update_all(&updates, step, if t == 1 { None } else { Some(&guard) }).expect("an update");
        for i in 0..p.len() {
            adam_update(&p1[i], &g1[i], &m1[i], &v1[i], step).expect("an update");
        }
        same("parameter", &p, &p1, 1e-6);
        same("first moment", &m, &m1, 1e-6);
        same("second moment", &v, &v1, 1e-6);
    }
}

#[test]
fn a_guard_that_is_not_finite_leaves_everything_as_it_is() {
    let (p, g, m, v) = (vars(1, &device()), vars(10, &device()), vars(20, &device()), vars(30, &device()));
    let update = |guard: &Tensor| {
        let updates: Vec<AdamUpdate<'_>> = (0..p.len())
            .map(|i| AdamUpdate { parameter: &p[i], gradient: &g[i], m: &m[i], v: &v[i] })
            .collect();
        adam_update_all(&updates, AdamStep::new(1, 0.1, (0.5, 0.999), 1e-8), Some(guard))
    };
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e39] {
        update(&scalar(bad)).expect("nothing to do");
        same("parameter", &p, &vars(1, &Device::Cpu), 0.);
        same("first moment", &m, &vars(20, &Device::Cpu), 0.);
        same("second moment", &v, &vars(30, &Device::Cpu), 0.);
    }
    let error = update(&scalar(1f32)).expect_err("f32").to_string();
    assert!(error.contains("guard: expected a scalar in f64"), "{error}");
}

#[test]
fn averages_follow_all_as_they_do_each() {
    let (average, value) = (vars(1, &device()), vars(10, &device()));
    let (average1, value1) = (vars(1, &Device::Cpu), vars(10, &Device::Cpu));
    let pairs: Vec<_> = average.iter().zip(&value).map(|(a, x)| (a, x.as_tensor())).collect();
    ema_update_all(&pairs, 0.9).expect("averages");
    for (average, value) in average1.iter().zip(&value1) {
        ema_update(average, value, 0.9).expect("an average");
    }
    same("average", &average, &average1, 1e-6);
}

#[test]
fn a_norm_is_that_of_all_values_and_shows_every_lost_number() -> Result<()> {
    let all = vars(1, &device());
    let tensors: Vec<&Tensor> = all.iter().map(|x| x.as_tensor()).collect();
    let mut want = 0.;
    for x in vars(1, &Device::Cpu) {
        want += x.as_tensor().to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?;
    }
    let want = want.sqrt();
    let norm = |also: &[&Tensor]| global_norm(&tensors, also)?.to_scalar::<f64>();
    assert!((norm(&[])? - want).abs() < 1e-6 * want);
    let (one, two) = (scalar(1f32), scalar(2f64));
    assert!((norm(&[&one, &two])? - want).abs() < 1e-6 * want);
    for lost in [scalar(f32::NAN), scalar(f32::INFINITY), scalar(f64::NAN), scalar(f64::NEG_INFINITY)] {
        assert!(norm(&[&one, &lost, &two])?.is_nan());
    }
    let mut bad = vec![0f32; 5000];
    bad[4999] = f32::NAN;
    let bad = Tensor::new(bad, &device())?;
    assert!(global_norm(&[&all[0], &bad], &[])?.to_scalar::<f64>()?.is_nan());
    assert!(global_norm(&[], &[]).is_err());
    Ok(())
}

#[test]
fn scalars_are_read_at_once_in_either_type() -> Result<()> {
    let all = [scalar(1.5f32), scalar(f64::MAX), scalar(f32::NAN), scalar(-2f32)];
    let read = read_scalars(&all.iter().collect::<Vec<_>>())?;
    assert_eq!((read[0], read[1], read[3]), (1.5, f64::MAX, -2.));
    assert!(read[2].is_nan() && read_scalars(&[])?.is_empty());
    let pair = Tensor::new(&[1f32, 2.], &device())?;
    assert!(read_scalars(&[&pair]).is_err());
    Ok(())
}
