//! Packed convolutions against the composed references.
mod common;
use candle_core::{DType, Result, Tensor};
use common::device;
use drgan_kernels::{Activation, Conv2dSpec, PackedConv, PackedSpec, Precision, reference};
use proptest::prelude::*;

/// Values in [-1, 1] with nothing special about them.
fn values(shape: &[usize], seed: f32) -> Result<Tensor> {
    let n: usize = shape.iter().product();
    Tensor::from_iter((0..n).map(|i| (i as f32 * 0.73 + seed).sin()), &device())?.reshape(shape)
}

/// The largest magnitude.
fn most(t: &Tensor) -> Result<f32> {
    t.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()
}

type Case = (usize, usize, usize, usize, usize);

fn check((b, c, o, h, w): Case, kernel: usize, stride: usize, upsample: bool, act: Activation) -> Result<()> {
    let o = 2 * o; // gates come in pairs
    let conv = Conv2dSpec::new(stride, kernel / 2);
    let x = values(&[b, c, h, w], 0.1)?;
    let weight = values(&[o, c, kernel, kernel], 0.2)?;
    let (scale, shift) = (values(&[o], 0.3)?, values(&[o], 0.4)?);
    let convolve = |x: &Tensor, w: &Tensor| {
        if upsample { reference::up_conv2d(x, w) } else { reference::conv2d(x, w, None, conv) }
    };
    let sums = reference::scale_shift(&convolve(&x, &weight)?, &scale, &shift, Activation::Identity)?;
    let y = reference::activate(&sums, act)?;
    let residual = values(y.dims(), 0.5)?;
    // Rounding goes by the terms' magnitudes; behind a gate a channel's errors meet the other's value.
    let magnitude = most(&convolve(&x.abs()?, &weight.abs()?)?)? * (1. + most(&sums)? / 4.);
    for (precision, rounding) in [(Precision::F32, 1e-5), (Precision::Bf16, 1. / 256.)] {
        let allowed = 1e-6 + rounding * magnitude;
        let spec = PackedSpec::new(conv, act).with_upsample(upsample).with_precision(precision);
        let packed = PackedConv::new(&weight, Some(&scale), Some(&shift), spec)?;
        for (residual, want) in [(None, y.clone()), (Some(&residual), (&y + &residual)?)] {
            let got = packed.forward(&x, residual)?;
            assert_eq!(got.dims(), want.dims());
            let off = most(&(got - want)?)?;
            assert!(off <= allowed, "{precision:?}: off by {off}, allowed {allowed}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_layer_is_its_parts(
        case in (1usize..3, 1usize..20, 1usize..20, 1usize..14, 1usize..20),
        (kernel, stride, upsample) in prop_oneof![
            Just((3, 1, false)), Just((3, 1, true)), Just((1, 1, false)), Just((3, 2, false)), Just((5, 1, false))
        ],
        act in prop_oneof![
            Just(Activation::Glu), Just(Activation::Identity), Just(Activation::Relu),
            Just(Activation::Relu6), Just(Activation::LeakyRelu(0.2))
        ],
    ) {
        check(case, kernel, stride, upsample, act).expect("a packed layer");
    }
}

#[test]
fn other_types_are_packed_as_folded_tensors() -> Result<()> {
    for (upsample, act) in [(false, Activation::Glu), (true, Activation::Relu)] {
        let double = |shape: &[usize], seed: f32| values(shape, seed)?.to_dtype(DType::F64);
        let (x, weight) = (double(&[2, 3, 5, 7], 0.1)?, double(&[4, 3, 3, 3], 0.2)?);
        let (scale, shift) = (double(&[4], 0.3)?, double(&[4], 0.4)?);
        let conv = Conv2dSpec::new(1, 1);
        let sums = if upsample {
            reference::up_conv2d(&x, &weight)?
        } else {
            reference::conv2d(&x, &weight, None, conv)?
        };
        let want = reference::scale_shift(&sums, &scale, &shift, act)?;
        let residual = double(want.dims(), 0.5)?;
        let spec = PackedSpec::new(conv, act).with_upsample(upsample);
        let packed = PackedConv::new(&weight, Some(&scale), Some(&shift), spec)?;
        for (residual, want) in [(None, want.clone()), (Some(&residual), (&want + &residual)?)] {
            let got = packed.forward(&x, residual)?;
            assert_eq!((got.dtype(), got.dims()), (DType::F64, want.dims()));
            assert!(most(&(got - want)?.to_dtype(DType::F32)?)? < 1e-12);
        }
        let error = packed.forward(&x.to_dtype(DType::F32)?, None).expect_err("another type").to_string();
        assert!(error.contains("x: expected F64"), "{error}");
    }
    Ok(())
}

#[test]
fn a_batch_of_no_images_gives_no_images() -> Result<()> {
    if !device().is_cpu() {
        return Ok(()); // candle has no tensor without values there
    }
    // Winograd, upsampled, pointwise, and with a stride.
    let layers = [(3, 1, false), (3, 1, true), (1, 1, false), (3, 2, false)];
    for ((kernel, stride, upsample), dtype) in
        layers.into_iter().flat_map(|layer| [DType::F32, DType::F64].map(|dtype| (layer, dtype)))
    {
        let zero = |shape: &[usize]| Tensor::zeros(shape, dtype, &device());
        let (weight, shift) = (values(&[16, 8, kernel, kernel], 0.2)?.to_dtype(dtype)?, zero(&[16])?);
        for precision in [Precision::F32, Precision::Bf16] {
            let conv = Conv2dSpec::new(stride, kernel / 2);
            let spec =
                PackedSpec::new(conv, Activation::Glu).with_upsample(upsample).with_precision(precision);
            let packed = PackedConv::new(&weight, None, Some(&shift), spec)?;
            let full = packed.forward(&zero(&[1, 8, 16, 16])?, None)?;
            let want = [0, 8, full.dim(2)?, full.dim(3)?];
            for residual in [None, Some(zero(&want)?)] {
                let y = packed.forward(&zero(&[0, 8, 16, 16])?, residual.as_ref())?;
                assert_eq!((y.dims(), y.dtype()), (want.as_slice(), dtype));
            }
            let other = if dtype == DType::F32 { DType::F64 } else { DType::F32 };
            let error = packed.forward(&Tensor::zeros((0, 8, 16, 16), other, &device())?, None);
            assert!(error.is_err(), "another type");
            assert!(packed.forward(&zero(&[0, 7, 16, 16])?, None).is_err(), "other channels");
        }
    }
    Ok(())
}

#[test]
fn mistakes_are_named() -> Result<()> {
    let spec = PackedSpec::new(Conv2dSpec::new(1, 1), Activation::Glu);
    let weight = |o: usize, k: usize| values(&[o, 2, k, k], 0.);
    let says = |made: Result<PackedConv>, words: &str| {
        let error = made.expect_err("a mistake").to_string();
        assert!(error.contains(words), "{error}");
    };
    says(PackedConv::new(&weight(3, 3)?, None, None, spec), "even number of channels, got 3");
    says(PackedConv::new(&weight(4, 3)?, Some(&values(&[3], 0.)?), None, spec), "scale: expected 4");
    let double = values(&[4], 0.)?.to_dtype(DType::F64)?;
    says(PackedConv::new(&weight(4, 3)?, None, Some(&double), spec), "shift: expected 4 values in F32");
    says(PackedConv::new(&weight(4, 5)?, None, None, spec.with_upsample(true)), "got 5x5");
    let packed = PackedConv::new(&weight(4, 3)?, None, None, spec)?;
    let error = packed.forward(&values(&[1, 3, 4, 4], 0.)?, None).expect_err("channels").to_string();
    assert!(error.contains("x: expected (B, 2, H, W)"), "{error}");
    let (x, residual) = (values(&[1, 2, 4, 4], 0.)?, values(&[1, 4, 4, 4], 0.)?);
    let error = packed.forward(&x, Some(&residual)).expect_err("residual").to_string();
    assert!(error.contains("residual: expected (1, 2, 4, 4)"), "{error}");
    Ok(())
}
