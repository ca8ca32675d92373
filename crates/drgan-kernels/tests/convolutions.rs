//! Convolutions: fast against reference, reference against finite differences and candle.
mod common;

use candle_core::Tensor;
use common::{assert_differences, assert_near_largest, assert_same, random};
use drgan_kernels::{
    Activation, Conv2dSpec, ConvNormSpec, Padding, conv2d, conv2d_act, conv2d_batch_norm, depthwise_conv2d,
    joint_conv2d, reference, up_conv2d, upsample_nearest2x,
};
use proptest::prelude::*;

/// Sums of a few hundred f32 products in another order.
const LAYER: f64 = 1e-5;
/// The same divided by deviations of few values, or few sums that cancel.
const FEW: f64 = 1e-4;

/// Batch, channels in and out, map, kernel, stride, padding (top, bottom, left, right).
type Case = (usize, usize, usize, (usize, usize), (usize, usize), usize, [usize; 4]);

fn spec(stride: usize, [top, bottom, left, right]: [usize; 4]) -> Conv2dSpec {
    Conv2dSpec::new(stride, 0).with_padding(Padding { top, bottom, left, right })
}

fn check_conv((b, c, o, (h, w), (kh, kw), stride, padding): Case) {
    let spec = spec(stride, padding);
    let what = format!("conv2d ({b}, {c}, {h}, {w}) -> {o}, kernel {kh}x{kw}, {spec:?}");
    let inputs = [random(&[b, c, h, w], 1), random(&[o, c, kh, kw], 2), random(&[o], 3)];
    let fast = |t: &[Tensor]| conv2d(&t[0], &t[1], t.get(2), spec);
    let plain = |t: &[Tensor]| reference::conv2d(&t[0], &t[1], t.get(2), spec);
    assert_same(&what, &inputs, LAYER, fast, plain);
    assert_same(&format!("{what}, no bias"), &inputs[..2], LAYER, fast, plain);
    for act in ACTIVATIONS {
        if act == Activation::Glu && o % 2 != 0 {
            continue;
        }
        assert_same(
            &format!("{what}, {act:?}"),
            &inputs,
            LAYER,
            |t| conv2d_act(&t[0], &t[1], t.get(2), act, spec),
            |t| reference::activate(&reference::conv2d(&t[0], &t[1], t.get(2), spec)?, act),
        );
    }
}

const ACTIVATIONS: [Activation; 5] = [
    Activation::Relu,
    Activation::Relu6,
    Activation::LeakyRelu(0.2),
    Activation::LeakyRelu(-0.5),
    Activation::Glu,
];

/// Batch, channels of the map, of the vector, out, map, kernel, stride, padding.
type JointCase = (usize, [usize; 3], (usize, usize), (usize, usize), usize, [usize; 4]);

fn check_joint((b, [c, d, o], (h, w), (kh, kw), stride, padding): JointCase) {
    let spec = spec(stride, padding);
    let inputs =
        [random(&[b, c, h, w], 1), random(&[b, d], 2), random(&[o, c + d, kh, kw], 3), random(&[o], 4)];
    for act in [Activation::Identity, Activation::LeakyRelu(0.2)] {
        assert_same(
            &format!("joint ({b}, {c} and {d}, {h}, {w}) -> {o}, kernel {kh}x{kw}, {spec:?}, {act:?}"),
            &inputs,
            FEW,
            |t| joint_conv2d(&t[0], &t[1], &t[2], &t[3], act, spec),
            |t| reference::joint_conv2d(&t[0], &t[1], &t[2], &t[3], act, spec),
        );
    }
}

#[test]
fn joint_conv2d_on_the_models_shapes() {
    check_joint((3, [16, 32, 16], (4, 4), (3, 3), 1, [1; 4]));
    check_joint((1, [5, 3, 2], (4, 4), (3, 3), 1, [1; 4]));
    check_joint((2, [9, 1, 4], (9, 8), (3, 3), 1, [1; 4]));
}

#[test]
fn conv2d_on_the_models_shapes() {
    let cases: [Case; 14] = [
        (2, 5, 7, (32, 32), (3, 3), 1, [1; 4]),
        (3, 16, 24, (4, 4), (3, 3), 1, [1; 4]),
        (16, 3, 5, (8, 8), (3, 3), 1, [1; 4]),
        (1, 4, 6, (64, 64), (3, 3), 1, [1; 4]),
        (2, 6, 9, (32, 32), (4, 4), 2, [1; 4]),
        (5, 8, 3, (8, 8), (4, 4), 2, [1; 4]),
        (2, 12, 10, (32, 32), (1, 1), 1, [0; 4]),
        (3, 12, 10, (2, 2), (1, 1), 1, [0; 4]),
        (2, 3, 5, (31, 17), (1, 7), 1, [0, 0, 3, 3]),
        (2, 3, 5, (17, 31), (7, 1), 1, [3, 3, 0, 0]),
        (1, 3, 4, (64, 64), (3, 3), 2, [0, 1, 0, 1]),
        (2, 6, 1, (4, 4), (4, 4), 4, [0; 4]),
        (2, 3, 4, (9, 9), (1, 1), 2, [0; 4]),
        (1, 40, 3, (6, 7), (3, 3), 1, [2, 3, 4, 2]),
    ];
    cases.into_iter().for_each(check_conv);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]
    #[test]
    fn conv2d_on_any_shape(
        b in 1usize..4, c in 1usize..7, o in 1usize..7, h in 1usize..12, w in 1usize..40,
        kh in 1usize..5, kw in 1usize..5, stride in 1usize..4, padding in prop::array::uniform4(0usize..4),
    ) {
        prop_assume!(h + padding[0] + padding[1] >= kh && w + padding[2] + padding[3] >= kw);
        check_conv((b, c, o, (h, w), (kh, kw), stride, padding));
    }

    #[test]
    fn joint_conv2d_on_any_shape(
        b in 1usize..4, channels in prop::array::uniform3(1usize..7), h in 1usize..9, w in 1usize..9,
        kh in 1usize..5, kw in 1usize..5, stride in 1usize..3, padding in prop::array::uniform4(0usize..4),
    ) {
        prop_assume!(h + padding[0] + padding[1] >= kh && w + padding[2] + padding[3] >= kw);
        check_joint((b, channels, (h, w), (kh, kw), stride, padding));
    }

    #[test]
    fn depthwise_on_any_shape(
        b in 1usize..4, c in 1usize..5, h in 1usize..12, w in 1usize..40,
        kh in 1usize..6, kw in 1usize..6, stride in 1usize..4, padding in prop::array::uniform4(0usize..4),
    ) {
        prop_assume!(h + padding[0] + padding[1] >= kh && w + padding[2] + padding[3] >= kw);
        check_depthwise((b, c, (h, w), (kh, kw), stride, padding));
    }
}

/// Batch, channels, map, kernel, stride, padding.
type DepthwiseCase = (usize, usize, (usize, usize), (usize, usize), usize, [usize; 4]);

fn check_depthwise((b, c, (h, w), (kh, kw), stride, padding): DepthwiseCase) {
    let spec = spec(stride, padding);
    let what = format!("depthwise ({b}, {c}, {h}, {w}), kernel {kh}x{kw}, {spec:?}");
    let inputs = [random(&[b, c, h, w], 1), random(&[c, 1, kh, kw], 2), random(&[c], 3)];
    for act in [Activation::Identity, Activation::Relu6, Activation::LeakyRelu(0.2)] {
        assert_same(
            &format!("{what}, {act:?}"),
            &inputs,
            LAYER,
            |t| depthwise_conv2d(&t[0], &t[1], &t[2], act, spec),
            |t| reference::depthwise_conv2d(&t[0], &t[1], &t[2], act, spec),
        );
    }
}

#[test]
fn depthwise_on_the_models_shapes() {
    check_depthwise((2, 32, (32, 32), (3, 3), 1, [1; 4]));
    check_depthwise((1, 6, (33, 31), (3, 3), 2, [0, 1, 0, 1]));
    check_depthwise((3, 19, (4, 4), (5, 5), 1, [2; 4]));
    check_depthwise((2, 7, (8, 8), (5, 5), 2, [1, 2, 1, 2]));
    check_depthwise((2, 3, (2, 2), (5, 5), 1, [2; 4]));
}

#[test]
fn up_conv2d_on_many_shapes() {
    for (b, c, o, h, w) in
        [(2, 5, 7, 4, 4), (1, 3, 1, 1, 1), (16, 4, 6, 2, 2), (3, 9, 8, 8, 5), (1, 6, 5, 32, 33)]
    {
        let inputs = [random(&[b, c, h, w], 1), random(&[o, c, 3, 3], 2)];
        assert_same(
            &format!("up_conv2d ({b}, {c}, {h}, {w}) -> {o}"),
            &inputs,
            LAYER,
            |t| up_conv2d(&t[0], &t[1]),
            |t| reference::up_conv2d(&t[0], &t[1]),
        );
    }
}

#[test]
fn a_normalized_convolution_is_its_two_halves() {
    let conv = Conv2dSpec::new(1, 1);
    for (upsample, act) in
        [(false, Activation::Glu), (true, Activation::Glu), (false, Activation::LeakyRelu(0.2))]
    {
        for (b, c, o, h, w) in [(2, 5, 8, 4, 4), (3, 3, 2, 1, 1), (1, 9, 4, 9, 17), (2, 8, 16, 12, 8)] {
            if b == 1 && h * w == 1 {
                continue;
            }
            let inputs =
                [random(&[b, c, h, w], 1), random(&[o, c, 3, 3], 2), random(&[o], 3), random(&[o], 4)];
            let spec = ConvNormSpec::new(conv, act).with_upsample(upsample).with_eps(1e-3);
            assert_same(
                &format!("({b}, {c}, {h}, {w}) -> {o}, {spec:?}"),
                &inputs,
                FEW,
                |t| Ok(conv2d_batch_norm(&t[0], &t[1], (&t[2], &t[3]), spec)?.y),
                |t| {
                    let y = if upsample {
                        reference::up_conv2d(&t[0], &t[1])?
                    } else {
                        reference::conv2d(&t[0], &t[1], None, conv)?
                    };
                    Ok(reference::batch_norm(&y, &t[2], &t[3], 1e-3, act, None)?.y)
                },
            );
        }
    }
    let (x, w, v) = (random(&[2, 3, 4, 4], 1), random(&[4, 3, 3, 3], 2), random(&[4], 3));
    let spec = ConvNormSpec::new(conv, Activation::Identity);
    let n = conv2d_batch_norm(&x, &w, (&v, &v), spec).unwrap();
    let y = conv2d(&x, &w, None, conv).unwrap();
    let want = reference::batch_norm(&y, &v, &v, 1e-5, Activation::Identity, None).unwrap();
    assert_near_largest("mean", &n.mean, &want.mean, LAYER);
    assert_near_largest("variance", &n.var, &want.var, LAYER);
    assert!(conv2d_batch_norm(&x, &w, (&v, &random(&[3], 1)), spec).is_err(), "a bias of another length");
}

#[test]
fn an_input_with_two_consumers_gets_the_sum_of_their_gradients() {
    let spec = Conv2dSpec::new(1, 1);
    let inputs = [random(&[2, 3, 8, 8], 1), random(&[3, 3, 3, 3], 2)];
    let double = |y: &Tensor| y.narrow(2, 0, 4)?.narrow(3, 0, 4)?.contiguous();
    assert_same(
        "shared input",
        &inputs,
        LAYER,
        |t| (conv2d(&t[0], &t[1], None, spec)? + t[0].sqr()?)? + up_conv2d(&double(&t[0])?, &t[1])?,
        |t| {
            (reference::conv2d(&t[0], &t[1], None, spec)? + t[0].sqr()?)?
                + reference::up_conv2d(&double(&t[0])?, &t[1])?
        },
    );
}

#[test]
fn references_agree_with_finite_differences() {
    let uneven = spec(2, [0, 1, 2, 1]);
    let x = random(&[2, 3, 5, 6], 1);
    assert_differences("conv2d", &[x.clone(), random(&[4, 3, 3, 2], 2), random(&[4], 3)], |t| {
        reference::conv2d(&t[0], &t[1], Some(&t[2]), uneven)
    });
    assert_differences("depthwise", &[x.clone(), random(&[3, 1, 3, 2], 2), random(&[3], 3)], |t| {
        reference::depthwise_conv2d(&t[0], &t[1], &t[2], Activation::Relu6, uneven)
    });
    let inputs = [x.clone(), random(&[2, 2], 2), random(&[4, 5, 3, 2], 3), random(&[4], 4)];
    assert_differences("joint_conv2d", &inputs, |t| {
        reference::joint_conv2d(&t[0], &t[1], &t[2], &t[3], Activation::LeakyRelu(0.2), uneven)
    });
    assert_differences("up_conv2d", &[x.clone(), random(&[2, 3, 3, 3], 2)], |t| {
        reference::up_conv2d(&t[0], &t[1])
    });
    assert_differences("upsample", &[x], |t| {
        upsample_nearest2x(&t[0])? + upsample_nearest2x(&t[0])?.sqr()?
    });
}

#[test]
fn conv2d_agrees_with_candle() {
    let (x, w) = (random(&[2, 3, 9, 9], 1), random(&[4, 3, 3, 3], 2));
    for (stride, padding) in [(1, 0), (1, 1), (2, 1), (3, 2)] {
        let want = x.conv2d(&w, padding, stride, 1, 1).unwrap();
        let spec = Conv2dSpec::new(stride, padding);
        assert_near_largest("fast", &conv2d(&x, &w, None, spec).unwrap(), &want, LAYER);
        assert_near_largest("reference", &reference::conv2d(&x, &w, None, spec).unwrap(), &want, LAYER);
    }
}

#[test]
fn misfits_are_errors_that_name_the_argument() {
    let (x, w) = (random(&[1, 3, 8, 8], 1), random(&[4, 2, 3, 3], 2));
    let error = conv2d(&x, &w, None, Conv2dSpec::new(1, 1)).unwrap_err().to_string();
    assert!(error.contains("conv2d: weight"), "{error}");
    let w = random(&[4, 3, 3, 3], 2);
    assert!(
        conv2d(&x, &w, Some(&random(&[3], 1)), Conv2dSpec::new(1, 1)).is_err(),
        "a bias of another length"
    );
    assert!(
        conv2d(&x, &random(&[4, 3, 9, 9], 2), None, Conv2dSpec::new(1, 0)).is_err(),
        "a kernel too large"
    );
    assert!(conv2d(&x, &w, None, Conv2dSpec::new(0, 1)).is_err(), "stride 0");
    let error = depthwise_conv2d(&x, &w, &random(&[3], 1), Activation::Relu, Conv2dSpec::new(1, 1))
        .unwrap_err()
        .to_string();
    assert!(error.contains("depthwise_conv2d: weight"), "{error}");
}
