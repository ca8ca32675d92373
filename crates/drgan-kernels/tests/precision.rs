//! Convolutions and linear maps in TF32 and bf16 on a CUDA device: factors are rounded, sums are not.
#![expect(clippy::unwrap_used, reason = "helpers panic as tests do")]
mod common;

use candle_core::{Device, Result, Tensor};
use common::{Layout, assert_near_largest, device, random, run};
use drgan_kernels::{
    Activation, Conv2dSpec, ConvNormSpec, PackedConv, PackedSpec, Padding, Precision, conv2d,
    conv2d_batch_norm, joint_conv2d, linear, open_cuda_with, reference, up_conv2d,
};

/// Of the largest value: two factors, each off by half of its last bit at most, in sums of terms of both signs.
const TF32: f64 = 1. / 1024.;
/// The same with three bits less, and the result rounded too.
const BF16: f64 = 3. / 256.;
/// Sums of a few hundred f32 products in another order.
const F32: f64 = 1e-5;

/// A device of each precision, and how far from f32 results may be; none where tests run on the CPU.
fn devices() -> Vec<(Precision, Device, f64)> {
    if device().is_cpu() {
        return Vec::new();
    }
    let open = |(precision, tolerance)| (precision, open_cuda_with(0, precision).unwrap(), tolerance);
    [(Precision::F32, F32), (Precision::Tf32, TF32), (Precision::Bf16, BF16)].map(open).into()
}

/// A value as the precision's factors are, to nearest even, computed from its bits.
fn rounded(t: &Tensor, precision: Precision) -> Tensor {
    let dropped = match precision {
        Precision::Tf32 => 13,
        Precision::Bf16 => 16,
        _ => return t.clone(),
    };
    let round = |x: f32| {
        let (bits, half) = (x.to_bits(), (1u32 << (dropped - 1)) - 1);
        f32::from_bits((bits + half + (bits >> dropped & 1)) >> dropped << dropped)
    };
    let values: Vec<f32> = t.flatten_all().unwrap().to_vec1().unwrap();
    Tensor::from_vec(values.into_iter().map(round).collect::<Vec<_>>(), t.shape(), t.device()).unwrap()
}

/// Value and gradients in each precision against f32's in f64: near, and apart where factors are rounded.
fn check(
    what: &str,
    inputs: &[Tensor],
    fast: impl Fn(&[Tensor]) -> Result<Tensor>,
    plain: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let all: Vec<usize> = (0..inputs.len()).collect();
    let exact: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(candle_core::DType::F64).unwrap()).collect();
    let (want, want_gradients) = run(&exact, &all, Layout::Contiguous, &plain);
    for (precision, device, tolerance) in devices() {
        let there: Vec<Tensor> = inputs.iter().map(|t| t.to_device(&device).unwrap()).collect();
        let (got, gradients) = run(&there, &all, Layout::Contiguous, &fast);
        let what = format!("{what} in {precision}");
        assert_near_largest(&format!("{what}: value"), &got, &want, tolerance);
        for (i, (got, want)) in gradients.iter().zip(&want_gradients).enumerate() {
            let (got, want) = (got.as_ref().unwrap(), want.as_ref().unwrap());
            assert_near_largest(&format!("{what}: gradient {i}"), got, want, tolerance);
        }
        let off = (got.to_device(&Device::Cpu).unwrap().to_dtype(want.dtype()).unwrap() - &want).unwrap();
        let off: f64 = off.abs().unwrap().max_all().unwrap().to_scalar().unwrap();
        assert_eq!(off > 2. * F32, precision != Precision::F32, "{what}: off by {off}");
    }
}

#[test]
fn convolutions_and_their_gradients_are_near_those_in_f32() {
    let asymmetric = Padding { top: 0, bottom: 1, left: 0, right: 1 };
    for (spec, kernel, (h, w)) in [
        (Conv2dSpec::new(1, 1), 3, (8, 8)),
        (Conv2dSpec::new(2, 1), 4, (9, 6)),
        (Conv2dSpec::new(1, 0), 1, (5, 7)),
        (Conv2dSpec::new(2, 0).with_padding(asymmetric), 3, (8, 8)),
        (Conv2dSpec::new(4, 0), 4, (4, 4)), // a product
    ] {
        let inputs = [random(&[3, 5, h, w], 1), random(&[6, 5, kernel, kernel], 2)];
        let what = format!("conv2d, kernel {kernel}, {spec:?}");
        check(
            &what,
            &inputs,
            |t| conv2d(&t[0], &t[1], None, spec),
            |t| reference::conv2d(&t[0], &t[1], None, spec),
        );
    }
    let inputs = [random(&[2, 4, 6, 5], 1), random(&[3, 4, 3, 3], 2)];
    check("up_conv2d", &inputs, |t| up_conv2d(&t[0], &t[1]), |t| reference::up_conv2d(&t[0], &t[1]));
    let inputs = [random(&[2, 4, 4, 4], 1), random(&[5, 7, 3, 3], 3), random(&[5], 4)];
    // A constant: the gradient of a vector is the reference's.
    let vector = |like: &Tensor| random(&[2, 3], 2).to_device(like.device())?.to_dtype(like.dtype());
    let (act, spec) = (Activation::Identity, Conv2dSpec::new(1, 1));
    check(
        "joint_conv2d",
        &inputs,
        |t| joint_conv2d(&t[0], &vector(&t[0])?, &t[1], &t[2], act, spec),
        |t| reference::joint_conv2d(&t[0], &vector(&t[0])?, &t[1], &t[2], act, spec),
    );
}

#[test]
fn linear_maps_and_their_gradients_are_near_those_in_f32() {
    let inputs = [random(&[7, 30], 1), random(&[9, 30], 2)];
    check("linear", &inputs, |t| linear(&t[0], &t[1]), |t| reference::linear(&t[0], &t[1]));
}

/// The arithmetic is f32's, of factors that were rounded before.
#[test]
fn rounding_the_factors_is_all_that_a_precision_changes() {
    for (precision, device, _) in devices() {
        let (x, weight) = (random(&[3, 5, 8, 8], 1), random(&[6, 5, 3, 3], 2));
        let spec = Conv2dSpec::new(1, 1);
        let there = |t: &Tensor| t.to_device(&device).unwrap();
        let got = conv2d(&there(&x), &there(&weight), None, spec).unwrap().to_device(&Device::Cpu).unwrap();
        let (x, weight) = (rounded(&x, precision), rounded(&weight, precision));
        let want = conv2d(&x, &weight, None, spec).unwrap();
        // In bf16 the sums are rounded too: those that lie at the middle of two may go either way.
        let tolerance = if precision == Precision::Bf16 { 1. / 256. } else { F32 };
        assert_near_largest(&format!("{precision}"), &got, &want, tolerance);

        let (x, w) = (random(&[7, 30], 1), random(&[9, 30], 2));
        let got = linear(&there(&x), &there(&w)).unwrap();
        let want = linear(&rounded(&x, precision), &rounded(&w, precision)).unwrap();
        assert_near_largest(&format!("linear in {precision}"), &got, &want, F32);
    }
}

/// Statistics are f32's sums of the convolution's rounded result.
#[test]
fn a_normalization_behind_a_convolution_has_its_gradients() {
    let inputs = [random(&[4, 5, 8, 8], 1), random(&[6, 5, 3, 3], 2), random(&[6], 3), random(&[6], 4)];
    let spec = ConvNormSpec::new(Conv2dSpec::new(1, 1), Activation::Identity);
    check(
        "conv2d_batch_norm",
        &inputs,
        |t| Ok(conv2d_batch_norm(&t[0], &t[1], (&t[2], &t[3]), spec)?.y),
        |t| Ok(reference::conv2d_batch_norm(&t[0], &t[1], (&t[2], &t[3]), spec)?.y),
    );
}

#[test]
fn a_packed_layer_computes_in_its_own_precision_whatever_the_devices() {
    let (x, weight) = (random(&[2, 5, 8, 8], 1), random(&[6, 5, 3, 3], 2));
    let spec = PackedSpec::new(Conv2dSpec::new(1, 1), Activation::Identity);
    let tf32 = PackedConv::new(&weight, None, None, spec.with_precision(Precision::Tf32));
    assert!(tf32.unwrap_err().to_string().contains("tf32"), "the CPU has none");
    let draw = |device: &Device, precision: Precision| {
        let (x, weight) = (x.to_device(device).unwrap(), weight.to_device(device).unwrap());
        let layer = PackedConv::new(&weight, None, None, spec.with_precision(precision)).unwrap();
        layer.forward(&x, None).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let all = devices();
    for precision in Precision::ALL.into_iter().filter(|_| !all.is_empty()) {
        let drawn: Vec<Vec<f32>> = all.iter().map(|(_, device, _)| draw(device, precision)).collect();
        assert!(drawn.iter().all(|values| *values == drawn[0]), "{precision}");
    }
}
