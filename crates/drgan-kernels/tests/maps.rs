//! Gates, attention, statistics, spectral norm, linear maps, resizing: fast against reference, reference against finite
//! differences.
mod common;

use candle_core::{DType, Device, Result, Tensor, Var};
use common::{Layout, assert_differences, assert_near_largest, assert_same, device, random, run};
use drgan_kernels::{
    Activation, AdamStep, adam_update, batch_norm, ema_update, gate, linear, lstm, max_pool2d, moments,
    power_iteration, reference, resize_area, resize_bilinear, spectral_norm, spectral_norm_step,
    sum_of_squares, word_attention,
};

const LAYER: f64 = 1e-5;

#[test]
fn gates_on_many_shapes() {
    for shape in [&[2, 3, 5, 7][..], &[1, 1, 1, 1], &[1, 4, 90, 91], &[3, 17]] {
        let inputs = [random(shape, 1), (random(shape, 2) * 3.).unwrap()];
        for scale in [1., 0.25, -1.] {
            assert_same(
                &format!("gate {shape:?}, scale {scale}"),
                &inputs,
                LAYER,
                |t| gate(&t[0], &t[1], scale),
                |t| reference::gate(&t[0], &t[1], scale),
            );
        }
    }
    assert_differences("gate", &[random(&[2, 3, 4], 1), random(&[2, 3, 4], 2)], |t| {
        reference::gate(&t[0], &t[1], 0.7)
    });
    let error = gate(&random(&[2, 3], 1), &random(&[3, 2], 2), 1.).unwrap_err().to_string();
    assert!(error.contains("gate: logits: expected [2, 3]"), "{error}");
}

/// Both results side by side, so that both have a gradient.
fn joined((a, b): (Tensor, Tensor)) -> Result<Tensor> {
    Tensor::cat(&[a.flatten_all()?, b.flatten_all()?], 0)
}

/// 1 from each caption's own length on.
fn padding(lens: &[usize], t: usize) -> Tensor {
    let mask: Vec<u8> = lens.iter().flat_map(|n| (0..t).map(move |i| u8::from(i >= *n))).collect();
    Tensor::from_vec(mask, (lens.len(), t), &Device::Cpu).expect("a mask")
}

#[test]
fn attention_on_many_shapes() {
    for (b, c, t, h, w, lens) in [
        (2, 4, 3, 3, 5, &[3, 1][..]),
        (1, 1, 1, 1, 1, &[1]),
        (3, 5, 18, 7, 11, &[18, 4, 0]),
        (2, 64, 40, 33, 34, &[40, 9]),
        (1, 70, 66, 3, 17, &[65]),
    ] {
        let inputs = [random(&[b, c, h, w], 1), random(&[b, c, t], 2)];
        let mask = padding(lens, t);
        assert_same(
            &format!("attention of {c}x{h}x{w} to {lens:?} of {t}"),
            &inputs,
            5e-5,
            |x| joined(word_attention(&x[0], &x[1], &mask.to_device(x[0].device())?)?),
            |x| joined(reference::word_attention(&x[0], &x[1], &mask)?),
        );
    }
    let mask = padding(&[3, 2], 3);
    assert_differences("word_attention", &[random(&[2, 4, 2, 3], 1), random(&[2, 4, 3], 2)], |x| {
        joined(reference::word_attention(&x[0], &x[1], &mask)?)
    });
    let error =
        word_attention(&random(&[2, 4, 2, 3], 1), &random(&[2, 5, 3], 2), &mask).unwrap_err().to_string();
    assert!(error.contains("word_attention: expected"), "{error}");
}

#[test]
fn moments_on_many_shapes() {
    for shape in [&[2, 3, 5, 7][..], &[1, 2, 1, 1], &[4, 5, 40, 33], &[3, 17], &[2, 3, 70, 64]] {
        let far = [(random(shape, 1) + 5.).unwrap()];
        let what = format!("moments {shape:?}");
        assert_same(&what, &far, LAYER, |t| joined(moments(&t[0])?), |t| joined(reference::moments(&t[0])?));
    }
    assert_differences("moments", &[random(&[2, 3, 4], 1)], |t| joined(reference::moments(&t[0])?));
    assert!(moments(&random(&[0, 3, 2], 1)).is_err());
}

#[test]
fn a_residual_after_the_normalization() {
    for (shape, act) in [
        (&[2, 6, 5, 7][..], Activation::Identity),
        (&[1, 4, 33, 31], Activation::LeakyRelu(0.2)),
        (&[3, 8, 4, 4], Activation::Glu),
        (&[5, 12], Activation::Glu),
    ] {
        let c = shape[1];
        let mut out = shape.to_vec();
        out[1] = act.channels_out(c);
        let inputs = [random(shape, 1), random(&[c], 2), random(&[c], 3), random(&out, 4)];
        assert_same(
            &format!("batch_norm {shape:?} {act:?} residual a map"),
            &inputs,
            5e-5,
            |t| Ok(batch_norm(&t[0], &t[1], &t[2], 1e-5, act, Some(&t[3]))?.y),
            |t| Ok(reference::batch_norm(&t[0], &t[1], &t[2], 1e-5, act, Some(&t[3]))?.y),
        );
    }
    let (x, v) = (random(&[2, 4, 3, 3], 1), random(&[4], 2));
    let error = batch_norm(&x, &v, &v, 1e-5, Activation::Glu, Some(&x)).unwrap_err().to_string();
    assert!(error.contains("residual: expected [2, 2, 3, 3]"), "{error}");
}

#[test]
fn spectral_norm_on_many_shapes() {
    for shape in [&[3, 2, 3, 3][..], &[1, 1, 1, 1], &[16, 70, 4, 4], &[7, 5]] {
        let (o, k) = (shape[0], shape[1..].iter().product::<usize>());
        let weight = random(shape, 1);
        let there = weight.to_device(&device()).unwrap();
        let start = random(&[o], 2).to_device(&device()).unwrap();
        let (u, v) = power_iteration(&there, &start).unwrap();
        let exact = weight.to_dtype(DType::F64).unwrap();
        let flat = exact.reshape((o, k)).unwrap();
        let start = random(&[o], 2).to_dtype(DType::F64).unwrap();
        let (want_u, want_v) = reference::power_iteration(&flat, &start).unwrap();
        assert_near_largest(&format!("u of {shape:?}"), &u, &want_u, LAYER);
        assert_near_largest(&format!("v of {shape:?}"), &v, &want_v, LAYER);
        assert!(!u.track_op() && !v.track_op());
        assert_same(
            &format!("spectral_norm {shape:?}"),
            &[weight],
            5e-5,
            |t| spectral_norm(&t[0], &u, &v),
            |t| reference::spectral_norm(&t[0], &want_u, &want_v),
        );
    }
    let (u, v) = [3, 8].map(|n| random(&[n], n as u64).to_dtype(DType::F64).unwrap()).into();
    assert_differences("spectral_norm", &[random(&[3, 2, 4], 1)], |t| {
        reference::spectral_norm(&t[0], &u, &v)
    });
    assert!(spectral_norm(&random(&[3, 2, 4], 1), &u, &u).is_err());
    assert!(power_iteration(&random(&[3, 2, 4], 1), &v).is_err());
}

#[test]
fn a_step_of_spectral_norm_is_an_iteration_and_a_division() {
    for shape in [&[3, 2, 3, 3][..], &[1, 1, 1, 1], &[40, 70, 4, 4], &[7, 5]] {
        let (o, k) = (shape[0], shape[1..].iter().product::<usize>());
        let there = |t: Tensor| t.to_device(&device()).unwrap();
        let weight = Var::from_tensor(&there(random(shape, 1))).unwrap();
        let (u, v) =
            [there(random(&[o], 2)), there(random(&[k], 3))].map(|t| Var::from_tensor(&t).unwrap()).into();
        let gradient = |y: Tensor| {
            let by = there(random(shape, 4));
            (y * by).unwrap().sum_all().unwrap().backward().unwrap().get(&weight).unwrap().clone()
        };
        let start = u.copy().unwrap();
        let y = spectral_norm_step(&weight, &u, &v).unwrap();
        let (want_u, want_v) = power_iteration(&weight, &start).unwrap();
        let want = spectral_norm(&weight, &want_u, &want_v).unwrap();
        for (what, got, want) in [("u", u.as_tensor(), &want_u), ("v", &v, &want_v), ("result", &y, &want)] {
            assert_near_largest(&format!("{what} of {shape:?}"), got, want, 1e-6);
        }
        // The next step changes u and v before the first one's backward pass.
        let second = spectral_norm_step(&weight, &u, &v).unwrap();
        let (next_u, next_v) = power_iteration(&weight, &want_u).unwrap();
        assert_near_largest(&format!("second u of {shape:?}"), &u, &next_u, LAYER);
        let want_second = spectral_norm(&weight, &next_u, &next_v).unwrap();
        for (got, want) in [(y, want), (second, want_second)] {
            assert_near_largest(&format!("gradient of {shape:?}"), &gradient(got), &gradient(want), LAYER);
        }
    }
    let var = |n: usize| Var::from_tensor(&random(&[n], 1)).unwrap();
    let error = spectral_norm_step(&random(&[3, 2, 4], 1), &var(3), &var(3)).unwrap_err().to_string();
    assert!(error.contains("spectral_norm_step: expected (O, ...), (O,) and (K,)"), "{error}");
}

#[test]
fn lstms_on_many_shapes() {
    for (l, s, b, h) in [(2, 3, 2, 5), (1, 2, 1, 1), (3, 6, 1, 7), (2, 18, 5, 33)] {
        let inputs = [random(&[l, s, b, 4 * h], 1), (random(&[l, h, 4 * h], 2) * 0.3).unwrap()];
        let what = format!("lstm: {l} of {h} units, {s} steps of {b}");
        let (fast, exact) = (|t: &[Tensor]| lstm(&t[0], &t[1]), |t: &[Tensor]| reference::lstm(&t[0], &t[1]));
        if !device().is_cpu() {
            assert_same(&what, &inputs, 5e-5, fast, exact);
            continue;
        }
        // candle's operations, which give a constant a gradient too.
        let doubles = inputs.each_ref().map(|t| t.to_dtype(DType::F64).unwrap());
        let (want, want_grads) = run(&doubles, &[0, 1], Layout::Contiguous, exact);
        for layout in [Layout::Contiguous, Layout::Swapped] {
            let (got, grads) = run(&inputs, &[0, 1], layout, fast);
            assert_near_largest(&what, &got, &want, 5e-5);
            for (got, want) in grads.iter().zip(&want_grads) {
                let (got, want) = (got.as_ref().unwrap(), want.as_ref().unwrap());
                assert_near_largest(&format!("{what}: gradient"), got, want, 5e-5);
            }
        }
    }
    // One step reads no state, so that the weight has no gradient.
    let weight = random(&[2, 4, 16], 2);
    assert_same(
        "lstm: one step",
        &[random(&[2, 1, 3, 16], 1)],
        LAYER,
        |t| lstm(&t[0], &weight.to_device(t[0].device())?),
        |t| reference::lstm(&t[0], &weight.to_dtype(t[0].dtype())?),
    );
    let inputs = [random(&[2, 3, 2, 8], 1), random(&[2, 2, 8], 2)];
    assert_differences("lstm", &inputs, |t| reference::lstm(&t[0], &t[1]));
    assert_eq!(lstm(&random(&[2, 0, 2, 8], 1), &inputs[1]).unwrap().dims(), [2, 0, 2, 2]);
    let error = lstm(&inputs[0], &random(&[1, 2, 8], 2)).unwrap_err().to_string();
    assert!(error.contains("lstm: expected gates (L, S, B, 4 hidden)"), "{error}");
}

#[test]
fn linear_on_many_shapes() {
    for (b, inp, out) in [(2, 3, 5), (1, 1, 1), (4, 200, 1100), (7, 530, 9)] {
        let inputs = [random(&[b, inp], 1), random(&[out, inp], 2)];
        assert_same(
            &format!("linear {b}x{inp} to {out}"),
            &inputs,
            LAYER,
            |t| linear(&t[0], &t[1]),
            |t| reference::linear(&t[0], &t[1]),
        );
    }
    assert!(linear(&random(&[2, 3], 1), &random(&[3, 2], 2)).is_err());
}

#[test]
fn resizing_on_many_shapes() {
    for (h, w, to_h, to_w) in
        [(5, 7, 11, 9), (8, 8, 3, 2), (1, 4, 3, 4), (6, 6, 6, 6), (4, 3, 1, 1), (40, 33, 57, 71)]
    {
        for align in [false, true] {
            assert_same(
                &format!("bilinear {h}x{w} to {to_h}x{to_w}, corners {align}"),
                &[random(&[2, 3, h, w], 1)],
                LAYER,
                |t| resize_bilinear(&t[0], to_h, to_w, align),
                |t| reference::resize_bilinear(&t[0], to_h, to_w, align),
            );
        }
    }
    // More maps than a CUDA device has threads for each pixel of.
    for ((h, w), (to_h, to_w)) in [((9, 8), (60, 70)), ((60, 70), (9, 8))] {
        assert_same(
            &format!("bilinear, many maps of {h}x{w}"),
            &[random(&[5, 20, h, w], 1)],
            LAYER,
            |t| resize_bilinear(&t[0], to_h, to_w, false),
            |t| reference::resize_bilinear(&t[0], to_h, to_w, false),
        );
    }
    for (h, w, to_h, to_w) in [(6, 9, 2, 3), (6, 8, 3, 2), (4, 4, 4, 4), (64, 64, 16, 16)] {
        assert_same(
            &format!("area {h}x{w} to {to_h}x{to_w}"),
            &[random(&[2, 3, h, w], 1)],
            LAYER,
            |t| resize_area(&t[0], to_h, to_w),
            |t| reference::resize_area(&t[0], to_h, to_w),
        );
    }
    let x = [random(&[2, 2, 4, 6], 1)];
    assert_differences("resize_bilinear", &x, |t| reference::resize_bilinear(&t[0], 7, 5, false));
    assert_differences("resize_area", &x, |t| reference::resize_area(&t[0], 2, 3));
}

#[test]
fn of_equal_pixels_the_first_has_the_gradient_and_a_lost_number_stays_visible() {
    let x = candle_core::Var::zeros((1, 1, 3, 3), DType::F32, &Device::Cpu).unwrap();
    let grads = max_pool2d(&x, 2, 1).unwrap().sum_all().unwrap().backward().unwrap();
    let got = grads.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(got, [1., 1., 0., 1., 1., 0., 0., 0., 0.]);
    let x = Tensor::new(&[[[[f32::NAN, 1.], [2., 3.]]]], &Device::Cpu).unwrap();
    let y = max_pool2d(&x, 2, 2).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(y[0].is_nan(), "{y:?}");
}

#[test]
fn the_optimizer_agrees_with_its_formula_in_f64() {
    let n = 70_001;
    let squares = random(&[n], 4).sqr().unwrap();
    let start = [random(&[n], 1), random(&[n], 3), squares];
    let gradient = random(&[n], 2);
    let step = AdamStep::new(7, 4e-4, (0.5, 0.999), 1e-8).with_scale(0.5);
    let after = |dtype: DType| -> Vec<Vec<f64>> {
        let [p, m, v] = start.clone().map(|t| Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap());
        adam_update(&p, &gradient.to_dtype(dtype).unwrap(), &m, &v, step).unwrap();
        [p, m, v].iter().map(|t| doubles(t)).collect()
    };
    let (fast, reference) = (after(DType::F32), after(DType::F64));
    let [p, m, v] = start.each_ref().map(doubles);
    let g = doubles(&gradient);
    for i in 0..n {
        let g = g[i] * 0.5;
        let want_m = 0.5 * m[i] + 0.5 * g;
        let want_v = 0.999 * v[i] + 0.001 * g * g;
        let (corrected_m, corrected_v) = (want_m / (1. - 0.5f64.powi(7)), want_v / (1. - 0.999f64.powi(7)));
        let want_p = p[i] - 4e-4 * corrected_m / (corrected_v.sqrt() + 1e-8);
        for (k, want) in [want_p, want_m, want_v].into_iter().enumerate() {
            let (fast, reference) = (fast[k][i], reference[k][i]);
            assert!((fast - want).abs() <= 1e-6 * want.abs().max(1e-3), "{k}, {i}: {fast} for {want}");
            assert!(
                (reference - want).abs() <= 1e-12 * want.abs().max(1.),
                "{k}, {i}: {reference} for {want}"
            );
        }
    }
}

#[test]
fn averages_and_norms_agree_with_their_formulas_in_f64() {
    let n = 70_001;
    let (start, value) = (random(&[n], 1), random(&[n], 2));
    let (a, x) = (doubles(&start), doubles(&value));
    for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-12)] {
        let average = Var::from_tensor(&start.to_dtype(dtype).unwrap()).unwrap();
        ema_update(&average, &value.to_dtype(dtype).unwrap(), 0.9).unwrap();
        for ((got, a), x) in doubles(&average).iter().zip(&a).zip(&x) {
            assert!((got - (0.9 * a + 0.1 * x)).abs() <= tolerance * (a.abs() + x.abs()), "{got}");
        }
        let sum = sum_of_squares(&value.to_dtype(dtype).unwrap()).unwrap();
        let want: f64 = x.iter().map(|x| x * x).sum();
        assert!((sum - want).abs() < 1e-6 * want, "{sum} for {want}");
        let lost = Tensor::cat(&[&value, &Tensor::new(&[f32::NAN], &Device::Cpu).unwrap()], 0).unwrap();
        assert!(sum_of_squares(&lost.to_dtype(dtype).unwrap()).unwrap().is_nan());
    }
}

#[test]
fn an_update_of_misfits_changes_nothing_and_names_them() {
    let var = |n: usize, dtype: DType| Var::ones(n, dtype, &Device::Cpu).unwrap();
    let step = AdamStep::new(1, 1., (0.9, 0.999), 1e-8);
    let (p, m, v) = (var(3, DType::F32), var(3, DType::F32), var(3, DType::F32));
    let refused = |gradient: &Tensor, m: &Var, v: &Var, words: &str| {
        let error = adam_update(&p, gradient, m, v, step).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(&var(2, DType::F32), &m, &v, "adam_update: gradient: expected [3] in F32, got [2] in F32");
    refused(
        &m.copy().unwrap(),
        &var(3, DType::F64),
        &v,
        "adam_update: m: expected [3] in F32, got [3] in F64",
    );
    for var in [&p, &m, &v] {
        assert_eq!(doubles(var), [1.; 3]);
    }
}

#[test]
fn an_update_of_arguments_that_share_a_storage_is_refused_and_names_them() {
    for dtype in [DType::F32, DType::F64] {
        let var = || Var::ones(3, dtype, &Device::Cpu).unwrap();
        let step = AdamStep::new(1, 1., (0.9, 0.999), 1e-8);
        let (p, m, v, gradient) = (var(), var(), var(), var());
        let refused = |gradient: &Tensor, m: &Var, v: &Var, name: &str, twin: &str| {
            let error = adam_update(&p, gradient, m, v, step).unwrap_err().to_string();
            let words = format!("adam_update: {name}: shares its storage with {twin}");
            assert!(error.contains(&words), "{error}");
        };
        // Each the same tensor, then a view with a name of its own.
        refused(&gradient, &m, &m, "v", "m");
        refused(&gradient, &p, &v, "m", "parameter");
        for view in
            [|x: &Var| x.as_detached_tensor(), |x: &Var| x.reshape((1, 3)).unwrap().squeeze(0).unwrap()]
        {
            refused(&view(&p), &m, &v, "gradient", "parameter");
            refused(&view(&m), &m, &v, "m", "gradient");
            refused(&view(&v), &m, &v, "v", "gradient");
            let error = ema_update(&p, &view(&p), 0.5).unwrap_err().to_string();
            assert!(error.contains("ema_update: value: shares its storage with average"), "{error}");
        }
        for var in [&p, &m, &v, &gradient] {
            assert_eq!(doubles(var), [1.; 3]);
        }
        adam_update(&p, &gradient, &m, &v, step).unwrap();
        ema_update(&p, &gradient.as_detached_tensor(), 0.5).unwrap();
    }
}

fn doubles(t: &Tensor) -> Vec<f64> {
    let values = t.to_dtype(DType::F64).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1());
    values.expect("every type here has f64")
}
