//! Normalisation, activations and pooling: fast against reference, reference against finite differences.
mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{assert_differences, assert_near_largest, assert_same, random};
use drgan_kernels::{
    Activation, activate, avg_pool2d, batch_norm, max_pool2d, reference, scale_shift, upsample_nearest2x,
};

const LAYER: f64 = 1e-5;
const ACTIVATIONS: [Activation; 5] =
    [Activation::Identity, Activation::Relu, Activation::Relu6, Activation::LeakyRelu(0.2), Activation::Glu];
const SHAPES: [&[usize]; 6] =
    [&[2, 4, 3, 5], &[16, 6, 4, 4], &[1, 2, 33, 31], &[3, 10, 1, 1], &[7, 12], &[2, 4, 64, 64]];

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
    let x = Var::from_tensor(&(random(&[3, 4, 5, 7], 1) * 3.).unwrap()).unwrap();
    let (w, b) = (random(&[4], 2), random(&[4], 3));
    let n = batch_norm(&x, &w, &b, 1e-5, Activation::Identity, None).unwrap();
    assert!(!n.mean.track_op() && !n.var.track_op());
    let rows = x.transpose(0, 1).unwrap().reshape((4, 105)).unwrap().to_dtype(DType::F64).unwrap();
    assert_near_largest("mean", &n.mean, &rows.mean(1).unwrap(), 1e-6);
    let var = (rows.var(1).unwrap() * (104. / 105.)).unwrap();
    assert_near_largest("variance", &n.var, &var, 1e-6);
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
    let x = Var::new(&[[-1f32, 0., 6., 7.]], &Device::Cpu).unwrap();
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
    let x = Tensor::new(&[[f32::NAN, 1.], [1., f32::NAN]], &Device::Cpu).unwrap();
    for act in ACTIVATIONS {
        let y = activate(&x, act).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(y.iter().any(|v| v.is_nan()), "{act:?} hides NaN: {y:?}");
    }
}

#[test]
fn an_odd_number_of_channels_has_no_gate() {
    let x = random(&[2, 3, 4, 4], 1);
    assert!(activate(&x, Activation::Glu).unwrap_err().to_string().contains("even number of channels"));
    let v = random(&[3], 1);
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
