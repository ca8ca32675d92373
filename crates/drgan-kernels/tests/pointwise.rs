//! Normalisation, activations and pooling: fast against reference, reference against finite differences.
mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{assert_differences, assert_near_largest, assert_same, device, random};
use drgan_kernels::{
    Activation, activate, avg_pool2d, batch_norm, max_pool2d, reference, scale_shift,
    update_running_statistics, upsample_nearest2x,
};

const LAYER: f64 = 1e-5;
const ACTIVATIONS: [Activation; 5] =
    [Activation::Identity, Activation::Relu, Activation::Relu6, Activation::LeakyRelu(0.2), Activation::Glu];
const SHAPES: [&[usize]; 7] = [
    &[2, 4, 3, 5],
    &[16, 6, 4, 4],
    &[1, 2, 33, 31],
    &[3, 10, 1, 1],
    &[7, 12],
    &[2, 4, 64, 64],
    &[3, 2, 83, 89],
];

#[test]
fn batch_norm_on_many_shapes() {
    for shape in SHAPES {
        let c = shape[1];
        // Far from 0, so that a careless variance would show.
        let inputs = [(random(shape, 1) + 5.).unwrap(), random(&[c], 2), random(&[c], 3)];
        for act in ACTIVATIONS {
            assert_same(
                &format!("batch_norm {shape:?} {act:?}"),
                &inputs,
                5e-5,
                |t| Ok(batch_norm(&t[0], &t[1], &t[2], 1e-5, act, None)?.y),
                |t| Ok(reference::batch_norm(&t[0], &t[1], &t[2], 1e-5, act, None)?.y),
            );
        }
    }
}

#[test]
fn batch_norm_gives_detached_statistics() {
    let on_device = |t: Tensor| t.to_device(&device()).unwrap();
    // Far from 0, of several blocks per channel on a CUDA device, with a first value that is far from the others.
    for (shape, offset) in [([3, 4, 5, 7], 0.), ([3, 4, 5, 7], 1000.), ([2, 4, 70, 61], -30.)] {
        let x = ((random(&shape, 1) * 3.).unwrap() + offset).unwrap();
        let first = Tensor::full(1e4f32, (1, 4, 1, 1), &Device::Cpu).unwrap();
        let x = if offset == -30. { x.slice_assign(&[0..1, 0..4, 0..1, 0..1], &first).unwrap() } else { x };
        let n_values = x.elem_count() / 4;
        let rows = x.transpose(0, 1).unwrap().reshape((4, n_values)).unwrap().to_dtype(DType::F64).unwrap();
        let x = Var::from_tensor(&on_device(x)).unwrap();
        let (w, b) = (on_device(random(&[4], 2)), on_device(random(&[4], 3)));
        let n = batch_norm(&x, &w, &b, 1e-5, Activation::Identity, None).unwrap();
        assert!(!n.mean.track_op() && !n.var.track_op());
        assert_near_largest("mean", &n.mean, &rows.mean(1).unwrap(), 1e-6);
        let var = (rows.var(1).unwrap() * ((n_values - 1) as f64 / n_values as f64)).unwrap();
        assert_near_largest("variance", &n.var, &var, 1e-6);
    }
}

#[test]
fn running_statistics_follow_a_batch_in_place() {
    let exact = random(&[3, 4, 5], 1).to_dtype(DType::F64).unwrap();
    let constant = |on: &Device, dtype: DType, seed: u64| {
        random(&[4], seed).abs().unwrap().to_device(on).unwrap().to_dtype(dtype).unwrap()
    };
    let update = |on: &Device, dtype: DType| {
        let x = exact.to_dtype(DType::F32).unwrap().to_device(on).unwrap().to_dtype(dtype).unwrap();
        let [w, b, mean, var] = [2, 3, 4, 5].map(|seed| constant(on, dtype, seed));
        let batch = batch_norm(&x, &w, &b, 1e-5, Activation::Relu, None).unwrap();
        let (mean, var) = (Var::from_tensor(&mean).unwrap(), Var::from_tensor(&var).unwrap());
        for momentum in [0.1, 0.3] {
            update_running_statistics((&mean, &var), &batch, momentum).unwrap();
        }
        (mean, var)
    };
    let (want, got) = (update(&Device::Cpu, DType::F64), update(&device(), DType::F32));
    assert_near_largest("mean", &got.0, &want.0, 1e-6);
    assert_near_largest("variance", &got.1, &want.1, 1e-6);
    // By hand: n = 15 values per channel.
    let rows = exact.transpose(0, 1).unwrap().reshape((4, 15)).unwrap();
    let by_hand = |running: Tensor, batch: Tensor| {
        let next = |running: Tensor, m: f64| ((running * (1. - m)).unwrap() + (&batch * m).unwrap()).unwrap();
        next(next(running, 0.1), 0.3)
    };
    let [mean, var] = [4, 5].map(|seed| constant(&Device::Cpu, DType::F64, seed));
    assert_near_largest("mean by hand", &want.0, &by_hand(mean, rows.mean(1).unwrap()), 1e-12);
    assert_near_largest("variance by hand", &want.1, &by_hand(var, rows.var(1).unwrap()), 1e-12);
}

#[test]
fn running_statistics_of_another_shape_or_sharing_a_storage_are_refused() {
    let on_device = |dims: &[usize], seed| random(dims, seed).to_device(&device()).unwrap();
    let [x, w] = [on_device(&[3, 4], 1), on_device(&[4], 2)];
    let batch = batch_norm(&x, &w, &w, 1e-5, Activation::Relu, None).unwrap();
    let [mean, long] = [&[4][..], &[5]].map(|dims| Var::from_tensor(&on_device(dims, 3)).unwrap());
    let error =
        |mean: &Var, var: &Var| update_running_statistics((mean, var), &batch, 0.1).unwrap_err().to_string();
    assert!(error(&mean, &long).contains("running variance: expected [4] in F32, got [5] in F32"));
    assert!(error(&long, &mean).contains("running mean: expected [4]"));
    assert!(error(&mean, &mean).contains("share a storage"));
}

#[test]
fn one_value_a_channel_is_an_error() {
    let (w, b) = (random(&[4], 2), random(&[4], 3));
    for shape in [&[1, 4][..], &[1, 4, 1, 1]] {
        let error =
            batch_norm(&random(shape, 1), &w, &b, 1e-5, Activation::Identity, None).unwrap_err().to_string();
        assert!(error.contains("batch_norm: x"), "{error}");
    }
}

#[test]
fn scale_shift_on_many_shapes() {
    for shape in SHAPES {
        let inputs = [random(shape, 1), random(&[shape[1]], 2), random(&[shape[1]], 3)];
        for act in ACTIVATIONS {
            assert_same(
                &format!("scale_shift {shape:?} {act:?}"),
                &inputs,
                LAYER,
                |t| scale_shift(&t[0], &t[1], &t[2], act),
                |t| reference::scale_shift(&t[0], &t[1], &t[2], act),
            );
        }
    }
}

#[test]
fn activate_on_many_shapes() {
    for shape in SHAPES {
        for act in ACTIVATIONS {
            assert_same(
                &format!("activate {shape:?} {act:?}"),
                &[(random(shape, 1) * 4.).unwrap()],
                LAYER,
                |t| activate(&t[0], act),
                |t| reference::activate(&t[0], act),
            );
        }
    }
}

#[test]
fn gates_stand_where_they_say() {
    let x = Var::new(&[[-1f32, 0., 6., 7.]], &device()).unwrap();
    for (act, y, slope) in [
        (Activation::Relu, [0., 0., 6., 7.], [0., 0., 1., 1.]),
        (Activation::Relu6, [0., 0., 6., 6.], [0., 0., 0., 0.]),
        (Activation::LeakyRelu(0.5), [-0.5, 0., 6., 7.], [0.5, 0.5, 1., 1.]),
    ] {
        let got = activate(&x, act).unwrap();
        assert_eq!(got.to_vec2::<f32>().unwrap(), [y], "{act:?}");
        let grads = got.sum_all().unwrap().backward().unwrap();
        assert_eq!(grads.get(&x).unwrap().to_vec2::<f32>().unwrap(), [slope], "{act:?}");
    }
}

#[test]
fn a_lost_number_stays_visible() {
    let x = Tensor::new(&[[f32::NAN, 1.], [1., f32::NAN]], &device()).unwrap();
    for act in ACTIVATIONS {
        let y = activate(&x, act).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(y.iter().any(|v| v.is_nan()), "{act:?} hides NaN: {y:?}");
    }
}

#[test]
fn an_odd_number_of_channels_has_no_gate() {
    let x = random(&[2, 3, 4, 4], 1).to_device(&device()).unwrap();
    assert!(activate(&x, Activation::Glu).unwrap_err().to_string().contains("even number of channels"));
    let v = random(&[3], 1).to_device(&device()).unwrap();
    assert!(scale_shift(&x, &v, &v, Activation::Glu).is_err());
    assert!(batch_norm(&x, &v, &v, 1e-5, Activation::Glu, None).is_err());
}

#[test]
fn pools_on_many_shapes() {
    for (h, w, kernel, stride, padding) in [
        (8, 8, 2, 2, 0),
        (9, 7, 3, 2, 0),
        (5, 6, 3, 1, 1),
        (4, 4, 4, 4, 0),
        (7, 7, 2, 3, 1),
        (64, 64, 2, 2, 0),
    ] {
        let x = [random(&[2, 3, h, w], 1)];
        let what = format!("pool {h}x{w}, kernel {kernel}, stride {stride}, padding {padding}");
        assert_same(
            &format!("avg {what}"),
            &x,
            LAYER,
            |t| avg_pool2d(&t[0], kernel, stride, padding),
            |t| reference::avg_pool2d(&t[0], kernel, stride, padding),
        );
        assert_same(
            &format!("max {what}"),
            &x,
            LAYER,
            |t| max_pool2d(&t[0], kernel, stride),
            |t| reference::max_pool2d(&t[0], kernel, stride),
        );
    }
    let x = [random(&[2, 3, 5, 4], 1)];
    assert_same(
        "upsample",
        &x,
        LAYER,
        |t| upsample_nearest2x(&t[0]),
        |t| {
            let (b, c, h, w) = t[0].dims4()?;
            let y = t[0].reshape((b, c, h, 1, w, 1))?.broadcast_as((b, c, h, 2, w, 2))?;
            y.contiguous()?.reshape((b, c, 2 * h, 2 * w))
        },
    );
}

#[test]
fn references_agree_with_finite_differences() {
    let x = random(&[2, 4, 5, 3], 1);
    let (w, b) = (random(&[4], 2), random(&[4], 3));
    for act in ACTIVATIONS {
        assert_differences(&format!("batch_norm {act:?}"), &[x.clone(), w.clone(), b.clone()], |t| {
            Ok(reference::batch_norm(&t[0], &t[1], &t[2], 1e-3, act, None)?.y)
        });
        assert_differences(&format!("scale_shift {act:?}"), &[x.clone(), w.clone(), b.clone()], |t| {
            reference::scale_shift(&t[0], &t[1], &t[2], act)
        });
        assert_differences(&format!("activate {act:?}"), std::slice::from_ref(&x), |t| {
            reference::activate(&t[0], act)
        });
    }
    assert_differences("avg_pool2d", std::slice::from_ref(&x), |t| reference::avg_pool2d(&t[0], 3, 2, 1));
    assert_differences("max_pool2d", &[x], |t| reference::max_pool2d(&t[0], 2, 1));
}

#[test]
fn of_equal_pixels_the_first_has_the_gradient() {
    let x = Var::from_tensor(&Tensor::zeros((1, 1, 4, 4), DType::F32, &device()).unwrap()).unwrap();
    let gradients = max_pool2d(&x, 2, 2).unwrap().sum_all().unwrap().backward().unwrap();
    let gradient = gradients.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let with: Vec<usize> = (0..16).filter(|i| gradient[*i] != 0.).collect();
    assert_eq!(with, [0, 2, 8, 10], "{gradient:?}");
}
