//! What objectives are made of: kernels against references, references against finite differences.
#![expect(clippy::unwrap_used, reason = "helpers panic as tests do")]
mod common;

use candle_core::{Result, Tensor, Var};
use common::{assert_differences, assert_near_largest, assert_same_on_device, device, random};
use drgan_kernels::{
    Activation, activate_biased, backward, gaussian_kl, gaussian_sample, halves, inner_product, linear,
    log_softmax, mean_absolute_difference, mean_pixels, moments_contrast, reference, softmax, softplus_means,
    tanh,
};
use proptest::prelude::*;

const LAYER: f64 = 1e-5;

/// Standard normal values times `scale`.
fn spread(shape: &[usize], seed: u64, scale: f64) -> Tensor {
    (random(shape, seed) * scale).unwrap()
}

fn all(t: &[Tensor]) -> Vec<&Tensor> {
    t.iter().collect()
}

/// A scalar as a vector: candle does not sum scalars on CUDA devices.
fn vector(scalar: Result<Tensor>) -> Result<Tensor> {
    scalar?.reshape(1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn softplus_means_of_any_lengths(lengths in prop::collection::vec(1usize..600, 1..4), negated: bool) {
        let inputs: Vec<Tensor> = (0..).zip(&lengths).map(|(seed, &n)| spread(&[n], seed, 20.)).collect();
        let what = format!("softplus_means {lengths:?}");
        assert_same_on_device(&what, &inputs, LAYER, |t| vector(softplus_means(&all(t), negated, 3.)), |t| {
            vector(reference::softplus_means(&all(t), negated, 3.))
        });
    }

    #[test]
    fn absolute_differences_of_any_size(b in 1usize..4, h in 1usize..40, w in 1usize..300) {
        let inputs = [random(&[b, 3, h, w], 1), random(&[b, 3, h, w], 2)];
        assert_same_on_device(
            &format!("mean_absolute_difference {b} {h} {w}"),
            &inputs,
            LAYER,
            |t| vector(mean_absolute_difference(&t[0], &t[1])),
            |t| vector(reference::mean_absolute_difference(&t[0], &t[1])),
        );
    }

    #[test]
    fn inner_products_of_any_size(n in 1usize..20_000) {
        // Of mean 1: a sum of thousands of products that cancel rounds as its terms do, not as its value.
        let inputs = [1, 2].map(|seed| (random(&[n], seed) + 1.).unwrap());
        let what = format!("inner_product {n}");
        assert_same_on_device(&what, &inputs, LAYER, |t| vector(inner_product(&t[0], &t[1])), |t| {
            vector(reference::inner_product(&t[0], &t[1]))
        });
    }

    #[test]
    fn softmaxes_along_any_axis(a in 1usize..20, b in 1usize..20, c in 1usize..20, dim in 0usize..3) {
        let inputs = [spread(&[a, b, c], 1, 5.)];
        let what = format!("softmax {a} {b} {c}, {dim}");
        assert_same_on_device(&what, &inputs, LAYER, |t| softmax(&t[0], dim), |t| reference::softmax(&t[0], dim));
        let what = format!("log_{what}");
        assert_same_on_device(&what, &inputs, LAYER, |t| log_softmax(&t[0], dim), |t| reference::log_softmax(&t[0], dim));
    }

    #[test]
    fn heads_and_images_of_any_size(b in 1usize..5, c in 1usize..40, h in 1usize..20, w in 1usize..20) {
        let map = [random(&[b, c, h, w], 1)];
        assert_same_on_device(&format!("tanh {b} {c} {h} {w}"), &map, LAYER, |t| tanh(&t[0]), |t| reference::tanh(&t[0]));
        assert_same_on_device(&format!("mean_pixels {b} {c} {h} {w}"), &map, LAYER, |t| mean_pixels(&t[0]), |t| {
            reference::mean_pixels(&t[0])
        });
        let rows = [random(&[b, 2 * c], 1), random(&[2 * c], 2)];
        for act in [Activation::Identity, Activation::LeakyRelu(0.2), Activation::Glu] {
            assert_same_on_device(
                &format!("activate_biased {b} {c} {act:?}"),
                &rows,
                LAYER,
                |t| activate_biased(&t[0], &t[1], act),
                |t| reference::activate_biased(&t[0], &t[1], act),
            );
        }
    }

    #[test]
    fn contrasts_of_any_channels(c in 1usize..50, b in 1usize..4, side in 2usize..6) {
        compare_contrast(b, c, side);
    }

    #[test]
    fn gaussians_of_any_size(b in 1usize..5, d in 1usize..300) {
        let [mu, logvar, eps] = [1, 2, 3].map(|seed| random(&[b, d], seed));
        let what = format!("{b} x {d}");
        let sample = [mu.clone(), logvar.clone(), eps];
        assert_same_on_device(&format!("gaussian_sample {what}"), &sample, LAYER, |t| gaussian_sample(&t[0], &t[1], &t[2]), |t| {
            reference::gaussian_sample(&t[0], &t[1], &t[2])
        });
        assert_same_on_device(&format!("gaussian_kl {what}"), &[mu, logvar], LAYER, |t| vector(gaussian_kl(&t[0], &t[1])), |t| {
            vector(reference::gaussian_kl(&t[0], &t[1]))
        });
        let product = |(first, second): (Tensor, Tensor)| first * second;
        assert_same_on_device(&format!("halves {what}"), &[random(&[b, 2 * d], 4)], LAYER, |t| product(halves(&t[0])?), |t| {
            product(reference::halves(&t[0])?)
        });
    }
}

fn compare_contrast(b: usize, c: usize, side: usize) {
    // Statistics that differ, so that no distance is near 0, where its slope is that of a corner.
    let map = |seed, at: f64| ((random(&[b, c, side, side], seed) * (1. + at)).unwrap() + at).unwrap();
    let inputs = [map(1, 0.), map(2, 1.), map(3, 3.)];
    assert_same_on_device(
        &format!("moments_contrast {b} {c} {side}"),
        &inputs,
        1e-4,
        |t| vector(moments_contrast(&t[0], &t[1], &t[2])),
        |t| vector(reference::moments_contrast(&t[0], &t[1], &t[2])),
    );
}

/// More than a block takes.
#[test]
fn contrasts_of_many_channels() {
    compare_contrast(1, 300, 2);
}

/// More than a block takes.
#[test]
fn absolute_differences_of_many_values() {
    let inputs = [random(&[2, 3, 80, 90], 1), random(&[2, 3, 80, 90], 2)];
    assert_same_on_device(
        "mean_absolute_difference of many values",
        &inputs,
        LAYER,
        |t| vector(mean_absolute_difference(&t[0], &t[1])),
        |t| vector(reference::mean_absolute_difference(&t[0], &t[1])),
    );
}

#[test]
fn a_softmax_keeps_nan() {
    let x = Tensor::new(&[[1f32, f32::NAN, 2.], [1., 1., 1.]], &device()).unwrap();
    let y = softmax(&x, 1).unwrap().to_vec2::<f32>().unwrap();
    assert!(y[0].iter().all(|y| y.is_nan()) && y[1].iter().all(|y| (y - 1. / 3.).abs() < 1e-6), "{y:?}");
}

#[test]
fn references_have_the_slopes_of_their_values() {
    let [x, y, z] = [1, 2, 3].map(|seed| random(&[2, 3], seed));
    let three = [x.clone(), y.clone(), z];
    for negated in [false, true] {
        assert_differences("softplus_means", &three, |t| reference::softplus_means(&all(t), negated, 3.));
    }
    assert_differences("gaussian_sample", &three, |t| reference::gaussian_sample(&t[0], &t[1], &t[2]));
    assert_differences("gaussian_kl", &[x.clone(), y.clone()], |t| reference::gaussian_kl(&t[0], &t[1]));
    assert_differences("halves", &[random(&[2, 6], 4)], |t| {
        let (first, second) = reference::halves(&t[0])?;
        first * second
    });
    assert_differences("mean_absolute_difference", &[x, y], |t| {
        reference::mean_absolute_difference(&t[0], &t[1])
    });
    assert_differences("inner_product", &[random(&[5], 1), random(&[5], 2)], |t| {
        reference::inner_product(&t[0], &t[1])
    });
    let map = [random(&[2, 3, 2, 2], 1)];
    assert_differences("softmax", &map, |t| reference::softmax(&t[0], 1));
    assert_differences("log_softmax", &map, |t| reference::log_softmax(&t[0], 3));
    assert_differences("tanh", &map, |t| reference::tanh(&t[0]));
    assert_differences("mean_pixels", &map, |t| reference::mean_pixels(&t[0]));
    assert_differences("activate_biased", &[random(&[2, 4], 1), random(&[4], 2)], |t| {
        reference::activate_biased(&t[0], &t[1], Activation::Glu)
    });
    let maps = [1, 2, 3].map(|seed| spread(&[2, 3, 2, 2], seed, seed as f64));
    assert_differences("moments_contrast", &maps, |t| reference::moments_contrast(&t[0], &t[1], &t[2]));
}

#[test]
fn softplus_is_right_far_from_0_and_keeps_nan() {
    for (x, want) in [(-200f32, 0.), (0., 2f32.ln()), (200., 200.), (f32::NAN, f32::NAN)] {
        let mean = |x: f32, negated| {
            let x = Tensor::new(&[x], &device()).unwrap();
            softplus_means(&[&x], negated, 1.).unwrap().to_scalar::<f32>().unwrap()
        };
        for got in [mean(x, false), mean(-x, true)] {
            assert!((got - want).abs() < 1e-6 || got.is_nan() && want.is_nan(), "{x}: {got}");
        }
    }
}

#[test]
fn equal_values_have_no_slope_and_nan_has_one() {
    let a = Var::new(&[1f32, 2., f32::NAN, 4.], &device()).unwrap();
    let b = Tensor::new(&[1f32, 3., 3., 3.], &device()).unwrap();
    let loss = mean_absolute_difference(&a, &b).unwrap();
    assert!(loss.to_scalar::<f32>().unwrap().is_nan());
    let slopes = backward(&loss).unwrap().get(&a).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!((slopes[0], slopes[1], slopes[3]), (0., -0.25, 0.25));
}

#[test]
fn what_cannot_be_an_objective_is_refused() {
    let [x, y, empty] = [&[2, 3][..], &[2, 4], &[0, 3]].map(|shape| random(shape, 1));
    let errors = [
        (softplus_means(&[], false, 1.), "one to three"),
        (softplus_means(&[&x, &empty], false, 1.), "no values"),
        (mean_absolute_difference(&x, &y), "one shape"),
        (mean_absolute_difference(&empty, &empty), "not empty"),
        (moments_contrast(&x, &y, &x), "far: expected"),
        (inner_product(&x, &y), "one shape"),
        (softmax(&x, 2), "an axis 2"),
        (mean_pixels(&x), "rank"),
        (activate_biased(&x, &random(&[2], 1), Activation::Relu), "bias: expected"),
        (gaussian_sample(&x, &x, &y), "eps: expected"),
        (gaussian_kl(&x, &y), "logvar: expected"),
        (gaussian_kl(&empty, &empty), "mu: expected values"),
        (halves(&random(&[2, 3], 1)).map(|(x, _)| x), "(B, 2 D)"),
    ];
    for (got, words) in errors {
        let said = got.unwrap_err().to_string();
        assert!(said.contains(words), "{words} is not in: {said}");
    }
}

/// A weight that two operations of this crate and one of candle's read.
#[test]
fn backward_gives_candles_gradients_of_a_weight_that_is_used_again_and_again() {
    let on_device = |shape: &[usize], seed| random(shape, seed).to_device(&device()).unwrap();
    let weight = Var::from_tensor(&on_device(&[4, 4], 1)).unwrap();
    let (x, untouched) = (on_device(&[3, 4], 2), Var::from_tensor(&on_device(&[2], 3)).unwrap());
    let y = linear(&linear(&x, &weight).unwrap(), &weight).unwrap();
    let loss = (y.sqr().unwrap().sum_all().unwrap() + weight.sqr().unwrap().sum_all().unwrap()).unwrap();
    let (ours, candles) = (backward(&loss).unwrap(), loss.backward().unwrap());
    let want = candles.get(&weight).unwrap();
    assert_near_largest("the weight's gradient", ours.get(&weight).unwrap(), want, 1e-6);
    assert!(ours.get(&untouched).is_none());
    assert_near_largest("a second pass", backward(&loss).unwrap().get(&weight).unwrap(), want, 1e-6);
}

/// After a pass that ends in an error, candle's own gives all gradients again.
#[test]
fn a_failed_backward_keeps_nothing() {
    let weight = Var::from_tensor(&random(&[2, 2], 1).to_device(&device()).unwrap()).unwrap();
    let y = linear(&weight, &weight).unwrap();
    let map = y.reshape((1, 1, 2, 2)).unwrap();
    let fails = map.upsample_bilinear2d(4, 4, true).unwrap(); // candle's, which has no gradient
    assert!(backward(&fails).is_err());
    let gradients = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(gradients.get(&weight).map(Tensor::dims), Some([2, 2].as_slice()));
}
