//! Every public function with sizes at the ends of their ranges: an error or a result, never a panic, never memory that is not
//! the tensor's. `-Zsanitizer=address` watches the second.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use candle_core::{DType, Device, Result, Tensor, Var};
use drgan_kernels::{
    Activation, AdamStep, Conv2dSpec, ConvNormSpec, PackedConv, PackedSpec, Padding, Precision, activate,
    adam_update, avg_pool2d, batch_norm, conv2d, conv2d_act, conv2d_batch_norm, depthwise_conv2d, ema_update,
    gate, joint_conv2d, linear, max_pool2d, moments, power_iteration, reference, resize_area,
    resize_bilinear, scale_shift, spectral_norm, sum_of_squares, up_conv2d, upsample_nearest2x,
    word_attention,
};

/// Sizes, strides and paddings that sums and products of sizes wrap at.
const EXTREMES: [usize; 8] = [0, 1, 2, 1 << 24, 1 << 32, usize::MAX / 2, usize::MAX / 2 + 1, usize::MAX];

fn tensor(dims: &[usize]) -> Tensor {
    let n: usize = dims.iter().product();
    let values: Vec<f32> = (0..n).map(|i| ((i * 37 % 19) as f32 - 9.) / 9.).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

/// Paddings with one extreme side, or all of them.
fn paddings() -> Vec<Padding> {
    EXTREMES
        .into_iter()
        .flat_map(|n| {
            let one = Padding::symmetric(1, 1);
            [
                Padding { top: n, ..one },
                Padding { bottom: n, ..one },
                Padding { left: n, ..one },
                Padding { right: n, ..one },
                Padding::symmetric(n, n),
            ]
        })
        .collect()
}

/// Value and gradient are finite numbers, so that memory that nobody wrote would show, or the operation is refused.
fn sound(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) {
    let x = Var::from_tensor(x).unwrap();
    let Ok(y) = f(&x) else { return };
    let sum = y.to_dtype(DType::F64).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
    assert!(sum.is_finite(), "{sum}");
    if y.elem_count() > 0
        && let Some(dx) = y.sum_all().unwrap().backward().unwrap().get(&x)
    {
        let most = dx.abs().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(most.iter().all(|v| *v < 1e4), "a gradient that nobody wrote");
    }
}

#[test]
fn a_stride_near_the_largest_number_is_an_error() {
    let (x, weight, bias) = (tensor(&[2, 9, 12, 12]), tensor(&[9, 1, 3, 3]), tensor(&[9]));
    let e = depthwise_conv2d(&x, &weight, &bias, Activation::Relu, Conv2dSpec::new(usize::MAX, 1));
    assert!(e.unwrap_err().to_string().contains("stride"));
}

#[test]
fn a_padding_near_the_largest_number_is_an_error() {
    let (x, weight, bias) = (tensor(&[2, 9, 12, 12]), tensor(&[9, 1, 3, 3]), tensor(&[9]));
    let spec = Conv2dSpec::new(1, 1).with_padding(Padding { top: usize::MAX, ..Padding::symmetric(1, 1) });
    let e = depthwise_conv2d(&x, &weight, &bias, Activation::Identity, spec).unwrap_err().to_string();
    assert!(e.contains("padding"), "{e}");
}

#[test]
fn relu_behind_a_convolution_keeps_nan() -> Result<()> {
    let x = (tensor(&[1, 9, 12, 12]) * f64::NAN)?;
    let y = conv2d_act(&x, &tensor(&[8, 9, 3, 3]), None, Activation::Relu, Conv2dSpec::new(1, 1))?;
    assert!(y.sum_all()?.to_scalar::<f32>()?.is_nan());
    Ok(())
}

#[test]
fn a_packed_convolution_of_no_pictures_is_empty() -> Result<()> {
    for precision in [Precision::F32, Precision::Bf16] {
        let spec = PackedSpec::new(Conv2dSpec::new(1, 1), Activation::Relu).with_precision(precision);
        let packed = PackedConv::new(&tensor(&[8, 9, 3, 3]), None, None, spec)?;
        assert_eq!(packed.forward(&tensor(&[0, 9, 8, 8]), None)?.dims(), [0, 8, 8, 8]);
    }
    Ok(())
}

#[test]
fn a_doubled_convolution_that_is_not_3x3_is_an_error() {
    let (x, weight) = (tensor(&[2, 9, 12, 12]), tensor(&[8, 9, 5, 5]));
    let ones = (tensor(&[8]), tensor(&[8]));
    let spec = ConvNormSpec::new(Conv2dSpec::new(1, 1), Activation::Relu).with_upsample(true);
    assert!(up_conv2d(&x, &weight).unwrap_err().to_string().contains("up_conv2d: weight"));
    assert!(conv2d_batch_norm(&x, &weight, (&ones.0, &ones.1), spec).is_err());
}

#[test]
fn convolutions_refuse_or_compute_any_stride_and_padding() {
    let (x, v, bias) = (tensor(&[2, 9, 12, 12]), tensor(&[2, 3]), tensor(&[9]));
    let (weight, joint, depth) = (tensor(&[9, 9, 3, 3]), tensor(&[9, 12, 3, 3]), tensor(&[9, 1, 3, 3]));
    let strided = EXTREMES.map(|stride| Conv2dSpec::new(stride, 1));
    let padded =
        paddings().into_iter().filter(|p| [p.top, p.bottom, p.left, p.right].iter().all(|n| *n != 1 << 24));
    for spec in strided.into_iter().chain(padded.map(|p| Conv2dSpec::new(1, 1).with_padding(p))) {
        for act in [Activation::Identity, Activation::Relu] {
            sound(&x, |x| conv2d_act(x, &weight, Some(&bias), act, spec));
            sound(&x, |x| depthwise_conv2d(x, &depth, &bias, act, spec));
            sound(&x, |x| joint_conv2d(x, &v, &joint, &bias, act, spec));
            sound(&x, |x| reference::conv2d_act(x, &weight, Some(&bias), act, spec));
            sound(&x, |x| reference::depthwise_conv2d(x, &depth, &bias, act, spec));
            let norm = ConvNormSpec::new(spec, act);
            sound(&x, |x| Ok(conv2d_batch_norm(x, &weight, (&bias, &bias), norm)?.y));
            sound(&x, |x| PackedConv::new(&weight, None, None, PackedSpec::new(spec, act))?.forward(x, None));
        }
    }
}

#[test]
fn pools_and_resizes_refuse_or_compute_any_size() {
    let x = tensor(&[2, 3, 6, 6]);
    for n in EXTREMES {
        for m in EXTREMES {
            let _ = Padding::tf_same(n, m, n, m);
            sound(&x, |x| max_pool2d(x, n, m));
            sound(&x, |x| avg_pool2d(x, n, m, 1));
            sound(&x, |x| avg_pool2d(x, 2, n, m));
            sound(&x, |x| reference::max_pool2d(x, n, m));
            sound(&x, |x| reference::avg_pool2d(x, 2, n, m));
            // Legal and of gigabytes: not what this test is for.
            if n != 1 << 24 && m != 1 << 24 {
                sound(&x, |x| resize_bilinear(x, n, m, true));
                sound(&x, |x| reference::resize_bilinear(x, n, m, false));
            }
            sound(&x, |x| resize_area(x, n, m));
            sound(&x, |x| reference::resize_area(x, n, m));
        }
    }
}

/// Every function with inputs that are empty along one axis, of another rank, and out of order in memory.
#[test]
fn empty_and_transposed_tensors_and_other_ranks_are_refused_or_computed() -> Result<()> {
    let shapes: [&[usize]; 12] = [
        &[],
        &[0],
        &[4],
        &[0, 4],
        &[4, 0],
        &[4, 4],
        &[0, 4, 4],
        &[4, 4, 4],
        &[0, 4, 4, 4],
        &[4, 0, 4, 4],
        &[4, 4, 0, 4],
        &[4, 4, 4, 4],
    ];
    let mut all: Vec<Tensor> = shapes.iter().map(|dims| tensor(dims)).collect();
    all.push(tensor(&[4, 4, 4, 4]).transpose(1, 3)?);
    all.push(tensor(&[4, 4, 4, 8]).narrow(3, 2, 4)?);
    all.push(tensor(&[4, 4]).t()?);
    let (spec, act) = (Conv2dSpec::new(1, 1), Activation::Relu);
    let one = tensor(&[4]);
    for a in &all {
        sound(a, |a| activate(a, Activation::Glu));
        sound(a, upsample_nearest2x);
        sound(a, |a| Ok(moments(a)?.1));
        sound(a, |a| max_pool2d(a, 2, 2));
        sound(a, |a| avg_pool2d(a, 2, 2, 1));
        sound(a, |a| resize_bilinear(a, 3, 5, false));
        sound(a, |a| resize_area(a, 2, 2));
        let _ = sum_of_squares(a);
        for b in &all {
            sound(a, |a| gate(a, b, 2.));
            sound(a, |a| linear(a, b));
            sound(a, |a| up_conv2d(a, b));
            sound(a, |a| conv2d(a, b, Some(&one), spec));
            sound(a, |a| depthwise_conv2d(a, b, &one, act, spec));
            sound(a, |a| scale_shift(a, b, &one, act));
            sound(a, |a| Ok(batch_norm(a, b, &one, 1e-5, act, None)?.y));
            sound(a, |a| Ok(conv2d_batch_norm(a, b, (&one, &one), ConvNormSpec::new(spec, act))?.y));
            sound(a, |a| PackedConv::new(b, Some(&one), None, PackedSpec::new(spec, act))?.forward(a, None));
            sound(a, |a| spectral_norm(a, &one, b));
            let _ = power_iteration(a, b);
            let mask =
                Tensor::zeros(b.dims().first().map_or(vec![], |n| vec![*n, 4]), DType::U8, &Device::Cpu)?;
            sound(a, |a| Ok(word_attention(a, b, &mask)?.0));
            sound(a, |a| joint_conv2d(a, &tensor(&[4, 4]), b, &one, act, spec));
            let (p, m, v) = (Var::from_tensor(a)?, Var::from_tensor(b)?, Var::from_tensor(b)?);
            let _ = adam_update(&p, b, &m, &v, AdamStep::new(1, 0.1, (0.9, 0.999), 1e-8));
            let _ = ema_update(&p, b, 0.9);
        }
    }
    Ok(())
}
