//! NaN and infinities come through every operation, fused or not, on every instruction set and device, as through the reference: a
//! network that has diverged must not draw clean images.
use super::common::device;
use super::values;
use crate::cpu::simd::Isa;
use crate::cpu::simd::forced::with_isa;
use crate::ops::conv2d::cpu::select::is_winograd;
use crate::ops::conv2d::shape::ConvShape;
use crate::*;
use candle_core::{DType, Device, Result, Tensor, Var};

const ACTIVATIONS: [Activation; 6] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Relu6,
    Activation::LeakyRelu(0.2),
    Activation::LeakyRelu(0.),
    Activation::Glu,
];
const SPECIAL: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

/// How far a special value may go.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    /// As far as in the reference, and as the same.
    Exact,
    /// The same, beside finite values that were rounded to bf16.
    Rounded,
    /// Through a transform, which makes NaN of infinities and shares them between the outputs of a tile: what is NaN in the
    /// reference for a NaN is NaN here, and what is not finite there is not finite here unless the activation may hide it.
    Transformed,
}

/// What `f` gives on each instruction set, or on the [device] that is tested.
fn everywhere<R: Send>(f: impl Fn() -> R + Sync) -> Vec<(String, R)> {
    if device().is_cpu() {
        return Isa::all().into_iter().map(|isa| (format!("{isa:?}"), with_isa(isa, &f))).collect();
    }
    vec![("the device".to_string(), f())]
}

/// `x` with `special` at place `at`.
fn spoil(x: &Tensor, at: usize, special: f32) -> Result<Tensor> {
    let mut values: Vec<f32> = x.flatten_all()?.to_vec1()?;
    values[at] = special;
    Tensor::from_vec(values, x.shape(), x.device())
}

fn doubles(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).and_then(|t| t.flatten_all()?.to_vec1()).expect("values")
}

#[track_caller]
fn assert_kinds(what: &str, special: f32, hides: bool, reach: Reach, got: &Tensor, want: &Tensor) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    for (i, (got, want)) in doubles(got).into_iter().zip(doubles(want)).enumerate() {
        let same = if want.is_finite() {
            let tolerance = if reach == Reach::Exact { 1e-4 } else { 6e-2 };
            reach == Reach::Transformed || (got - want).abs() <= tolerance * want.abs().max(1.)
        } else if reach != Reach::Transformed {
            (got.is_nan() && want.is_nan()) || got == want
        } else if special.is_nan() {
            got.is_nan()
        } else {
            hides || !got.is_finite()
        };
        assert!(same, "{what}: at {i}: {got}, but {want} by the reference");
    }
}

/// Runs `fast` on every instruction set and compares it with `reference` in f64, with each special value in each input.
fn check(
    what: &str,
    inputs: &[Tensor],
    act: Activation,
    reach: impl Fn(usize) -> Reach,
    fast: impl Fn(&[Tensor]) -> Result<Tensor> + Sync,
    reference: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let hides = !matches!(act, Activation::Identity);
    for (k, special) in (0..inputs.len()).flat_map(|k| SPECIAL.map(|special| (k, special))) {
        let mut inputs = inputs.to_vec();
        inputs[k] = spoil(&inputs[k], inputs[k].elem_count() / 3, special).expect("an input");
        let exact: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F64).expect("f64")).collect();
        let want = reference(&exact).expect("the reference");
        assert!(!doubles(&want).iter().all(|v| v.is_finite()) || hides, "{what}: input {k}: nothing to see");
        let inputs: Vec<Tensor> = inputs.iter().map(|t| t.to_device(&device()).expect("an input")).collect();
        for (on, got) in everywhere(|| fast(&inputs)) {
            let what = format!("{what}, {act:?}, {special} in input {k}, {on}");
            assert_kinds(&what, special, hides, reach(k), &got.expect("the fast path"), &want);
        }
    }
}

#[test]
fn activations_alone_and_after_a_scale() {
    for act in ACTIVATIONS {
        for shape in [&[2, 4, 5, 7][..], &[3, 6]] {
            let (x, c) = (values(shape, 1), shape[1]);
            let vectors = [values(&[c], 2), values(&[c], 3)];
            let one = std::slice::from_ref(&x);
            let exact = |_| Reach::Exact;
            check("activate", one, act, exact, |t| activate(&t[0], act), |t| reference::activate(&t[0], act));
            let inputs = [x, vectors[0].clone(), vectors[1].clone()];
            check(
                "scale_shift",
                &inputs,
                act,
                exact,
                |t| scale_shift(&t[0], &t[1], &t[2], act),
                |t| reference::scale_shift(&t[0], &t[1], &t[2], act),
            );
        }
    }
}

#[test]
fn the_gradients_of_activations() {
    for (act, special) in ACTIVATIONS.into_iter().flat_map(|act| SPECIAL.map(|special| (act, special))) {
        // The special value among values and among gates, and the places where slopes change.
        let x = [special, 0., 6., -1., special, 2., 0., 1., 7., special, 0., special];
        let gradient = |dtype: DType, on: &Device, f: &dyn Fn(&Tensor) -> Result<Tensor>| -> Tensor {
            let x = Tensor::new(&x, on).and_then(|x| x.reshape((1, 4, 3))?.to_dtype(dtype));
            let x = Var::from_tensor(&x.expect("x")).expect("x");
            let gradients = f(&x).and_then(|y| y.sum_all()?.backward()).expect("gradients");
            gradients.get(&x).expect("a gradient").clone()
        };
        let want = gradient(DType::F64, &Device::Cpu, &|x| reference::activate(x, act));
        for (on, got) in everywhere(|| gradient(DType::F32, &device(), &|x| activate(x, act))) {
            let what = format!("gradient of {act:?} at {special}, {on}");
            assert_kinds(&what, special, false, Reach::Exact, &got, &want);
        }
    }
}

#[test]
fn batch_normalization_with_and_without_a_residual() {
    for act in ACTIVATIONS {
        for shape in [&[2, 4, 5, 7][..], &[5, 6]] {
            let c = shape[1];
            let mut out = shape.to_vec();
            out[1] = act.channels_out(c);
            let inputs = [values(shape, 1), values(&[c], 2), values(&[c], 3), values(&out, 4)];
            check(
                "batch_norm",
                &inputs,
                act,
                |_| Reach::Exact,
                |t| Ok(batch_norm(&t[0], &t[1], &t[2], 1e-5, act, Some(&t[3]))?.y),
                |t| Ok(reference::batch_norm(&t[0], &t[1], &t[2], 1e-5, act, Some(&t[3]))?.y),
            );
        }
    }
}

type Convolution = (&'static str, [usize; 4], usize, usize, usize, usize);

/// Input, channels out, kernel side, stride, padding: each algorithm in turn.
const CONVOLUTIONS: [Convolution; 6] = [
    ("fully connected", [2, 3, 4, 4], 4, 4, 1, 0),
    ("Winograd", [2, 16, 12, 12], 16, 3, 1, 1),
    ("direct", [2, 3, 12, 12], 4, 3, 1, 1),
    ("direct, strided", [2, 3, 16, 16], 4, 4, 2, 1),
    ("im2col", [3, 5, 4, 4], 6, 3, 1, 1),
    ("im2col, pointwise", [1, 5, 16, 16], 6, 1, 1, 0),
];

#[test]
fn convolutions_with_their_bias_and_activation() {
    for (name, dims, o, kernel, stride, padding) in CONVOLUTIONS {
        let spec = Conv2dSpec::new(stride, padding);
        let inputs = [values(&dims, 1), values(&[o, dims[1], kernel, kernel], 2), values(&[o], 3)];
        let shape = ConvShape::new(inputs[0].shape(), inputs[1].shape(), spec, false).expect("a shape");
        assert_eq!(is_winograd(&shape), name == "Winograd", "{name}");
        // The bias is added after the transforms.
        let reach = |k| if is_winograd(&shape) && k < 2 { Reach::Transformed } else { Reach::Exact };
        for act in ACTIVATIONS {
            check(
                name,
                &inputs,
                act,
                reach,
                |t| conv2d_act(&t[0], &t[1], Some(&t[2]), act, spec),
                |t| reference::conv2d_act(&t[0], &t[1], Some(&t[2]), act, spec),
            );
        }
    }
}

#[test]
fn convolutions_with_their_normalization() {
    let conv = Conv2dSpec::new(1, 1);
    for (upsample, act) in [false, true].into_iter().flat_map(|up| ACTIVATIONS.map(|act| (up, act))) {
        for (c, side) in [(16, 12), (3, 4)] {
            let inputs =
                [values(&[2, c, side, side], 1), values(&[8, c, 3, 3], 2), values(&[8], 3), values(&[8], 4)];
            let spec = ConvNormSpec::new(conv, act).with_upsample(upsample);
            check(
                &format!("conv2d_batch_norm, {c} channels, upsample {upsample}"),
                &inputs,
                act,
                // A channel with one value that is not finite is lost as a whole.
                |k| if k < 2 { Reach::Transformed } else { Reach::Exact },
                |t| Ok(conv2d_batch_norm(&t[0], &t[1], (&t[2], &t[3]), spec)?.y),
                |t| Ok(reference::conv2d_batch_norm(&t[0], &t[1], (&t[2], &t[3]), spec)?.y),
            );
        }
    }
}

#[test]
fn joint_and_depthwise_convolutions() {
    let spec = Conv2dSpec::new(1, 1);
    for act in ACTIVATIONS {
        let inputs =
            [values(&[2, 5, 4, 4], 1), values(&[2, 3], 2), values(&[4, 8, 3, 3], 3), values(&[4], 4)];
        check(
            "joint_conv2d",
            &inputs,
            act,
            // Taps outside the map weigh the vector by 0 rather than leave it out.
            |k| if k == 1 { Reach::Transformed } else { Reach::Exact },
            |t| joint_conv2d(&t[0], &t[1], &t[2], &t[3], act, spec),
            |t| reference::joint_conv2d(&t[0], &t[1], &t[2], &t[3], act, spec),
        );
        let inputs = [values(&[2, 4, 9, 9], 1), values(&[4, 1, 3, 3], 2), values(&[4], 3)];
        check(
            "depthwise_conv2d",
            &inputs,
            act,
            |_| Reach::Exact,
            |t| depthwise_conv2d(&t[0], &t[1], &t[2], act, spec),
            |t| reference::depthwise_conv2d(&t[0], &t[1], &t[2], act, spec),
        );
    }
}

#[test]
fn packed_convolutions_in_every_precision() {
    for (precision, upsample) in
        [Precision::F32, Precision::Bf16].into_iter().flat_map(|p| [(p, false), (p, true)])
    {
        for ((name, dims, o, kernel, stride, padding), act) in
            CONVOLUTIONS.into_iter().flat_map(|c| ACTIVATIONS.map(|act| (c, act)))
        {
            if upsample && name != "Winograd" {
                continue;
            }
            let conv = Conv2dSpec::new(stride, padding);
            let spec = PackedSpec::new(conv, act).with_upsample(upsample).with_precision(precision);
            let convolve = |x: &Tensor, w: &Tensor| {
                if upsample { reference::up_conv2d(x, w) } else { reference::conv2d(x, w, None, conv) }
            };
            let (x, weight) = (values(&dims, 1), values(&[o, dims[1], kernel, kernel], 2));
            let (scale, shift) = (values(&[o], 3), values(&[o], 4));
            let y = convolve(&x, &weight).and_then(|y| reference::activate(&y, act)).expect("a map");
            let inputs = [x, weight, scale, shift, values(y.dims(), 5)];
            let rounded = precision == Precision::Bf16 && precision.is_native();
            // Upsampled weights are sums of the kernel's, as a transform's are.
            let transformed = if rounded { upsample } else { name == "Winograd" };
            check(
                &format!("packed {name}, {precision:?}, upsample {upsample}"),
                &inputs,
                act,
                |k| match k < 3 {
                    true if transformed => Reach::Transformed,
                    _ if rounded => Reach::Rounded,
                    _ => Reach::Exact,
                },
                |t| {
                    let layer = PackedConv::new(&t[1], Some(&t[2]), Some(&t[3]), spec)?;
                    layer.forward(&t[0], Some(&t[4]))
                },
                |t| {
                    let o = t[2].elem_count();
                    let weight = t[1].broadcast_mul(&t[2].reshape((o, 1, 1, 1))?)?;
                    let y = convolve(&t[0], &weight)?.broadcast_add(&t[3].reshape((1, o, 1, 1))?)?;
                    reference::activate(&y, act)? + &t[4]
                },
            );
        }
    }
}

#[test]
fn pools() {
    for special in SPECIAL {
        let x = spoil(&values(&[2, 3, 9, 9], 1), 40, special).expect("x");
        let exact = x.to_dtype(DType::F64).expect("f64");
        let want = reference::max_pool2d(&exact, 3, 2).expect("the reference");
        let mean = reference::avg_pool2d(&exact, 3, 1, 1).expect("the reference");
        let x = x.to_device(&device()).expect("x");
        for (on, (got, got_mean)) in everywhere(|| (max_pool2d(&x, 3, 2), avg_pool2d(&x, 3, 1, 1))) {
            let what = format!("{special}, {on}");
            assert_kinds(&format!("max, {what}"), special, false, Reach::Exact, &got.expect("maxima"), &want);
            assert_kinds(
                &format!("mean, {what}"),
                special,
                false,
                Reach::Exact,
                &got_mean.expect("means"),
                &mean,
            );
        }
        let lost = doubles(&want).iter().filter(|v| !v.is_finite()).count();
        assert_eq!(lost > 0, special != f32::NEG_INFINITY, "minus infinity is nowhere the largest");
    }
}
