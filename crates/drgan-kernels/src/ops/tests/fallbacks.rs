//! Every operation runs its reference exactly once where it has no kernel, and never where it has one.
use super::common::device;
use super::values;
use crate::dispatch::fallbacks;
use crate::*;
use candle_core::{DType, Result, Tensor, Var};

type Call = Box<dyn Fn(DType) -> Result<()>>;

/// Those without a kernel on CUDA devices.
const REFERENCE_ON_CUDA: &[&str] = &["adam_update", "ema_update", "sum_of_squares"];

fn operations() -> Vec<(&'static str, Call)> {
    let tensor = |shape: &'static [usize], seed: usize| {
        move |dtype| values(shape, seed).to_device(&device())?.to_dtype(dtype)
    };
    let (x, filters, filter) = (tensor(&[2, 4, 6, 6], 1), tensor(&[4, 4, 3, 3], 2), tensor(&[4, 1, 3, 3], 3));
    let (c, joined, vector) = (tensor(&[4], 4), tensor(&[2, 7, 3, 3], 5), tensor(&[2, 3], 6));
    let (rows, matrix, two) = (tensor(&[2, 5], 7), tensor(&[3, 5], 8), tensor(&[2], 9));
    let (long, gates, recurrent) = (tensor(&[36], 12), tensor(&[2, 3, 2, 8], 13), tensor(&[2, 2, 8], 14));
    let (words, residual, even) = (tensor(&[2, 4, 3], 10), tensor(&[2, 4, 6, 6], 11), tensor(&[2, 6], 15));
    let six = tensor(&[6], 16);
    let (spec, act) = (Conv2dSpec::new(1, 1), Activation::LeakyRelu(0.2));
    vec![
        ("activate", Box::new(move |t| activate(&x(t)?, act).map(drop))),
        ("conv2d", Box::new(move |t| conv2d(&x(t)?, &filters(t)?, Some(&c(t)?), spec).map(drop))),
        (
            "conv2d_act, gated",
            Box::new(move |t| conv2d_act(&x(t)?, &filters(t)?, None, Activation::Glu, spec).map(drop)),
        ),
        ("up_conv2d", Box::new(move |t| up_conv2d(&x(t)?, &filters(t)?).map(drop))),
        (
            "joint_conv2d",
            Box::new(move |t| joint_conv2d(&x(t)?, &vector(t)?, &joined(t)?, &two(t)?, act, spec).map(drop)),
        ),
        (
            "depthwise_conv2d",
            Box::new(move |t| depthwise_conv2d(&x(t)?, &filter(t)?, &c(t)?, act, spec).map(drop)),
        ),
        (
            "conv2d_batch_norm",
            Box::new(move |t| {
                let spec = ConvNormSpec::new(spec, act).with_upsample(true);
                conv2d_batch_norm(&x(t)?, &filters(t)?, (&c(t)?, &c(t)?), spec).map(drop)
            }),
        ),
        (
            "batch_norm",
            Box::new(move |t| batch_norm(&x(t)?, &c(t)?, &c(t)?, 1e-5, act, Some(&residual(t)?)).map(drop)),
        ),
        (
            "update_running_statistics",
            Box::new(move |t| {
                let running = [(); 2].map(|()| Var::from_tensor(&c(t)?));
                let [mean, var] = running;
                let batch = reference::batch_norm(&x(t)?, &c(t)?, &c(t)?, 1e-5, act, None)?;
                update_running_statistics((&mean?, &var?), &batch, 0.1)
            }),
        ),
        ("scale_shift", Box::new(move |t| scale_shift(&x(t)?, &c(t)?, &c(t)?, act).map(drop))),
        (
            "PackedConv",
            Box::new(move |t| {
                let spec = PackedSpec::new(spec, act).with_upsample(true);
                let layer = PackedConv::new(&filters(t)?, Some(&c(t)?), Some(&c(t)?), spec)?;
                layer.forward(&x(t)?, None).map(drop)
            }),
        ),
        ("gate", Box::new(move |t| gate(&x(t)?, &residual(t)?, 2.).map(drop))),
        ("moments", Box::new(move |t| moments(&x(t)?).map(drop))),
        (
            "word_attention",
            Box::new(move |t| {
                let mask = Tensor::zeros((2, 3), DType::U8, &device())?;
                word_attention(&x(t)?, &words(t)?, &mask).map(drop)
            }),
        ),
        ("linear", Box::new(move |t| linear(&rows(t)?, &matrix(t)?).map(drop))),
        ("softplus_means", Box::new(move |t| softplus_means(&[&x(t)?, &c(t)?], true, 2.).map(drop))),
        (
            "mean_absolute_difference",
            Box::new(move |t| mean_absolute_difference(&x(t)?, &residual(t)?).map(drop)),
        ),
        ("moments_contrast", Box::new(move |t| moments_contrast(&x(t)?, &residual(t)?, &x(t)?).map(drop))),
        ("inner_product", Box::new(move |t| inner_product(&x(t)?, &residual(t)?).map(drop))),
        ("softmax", Box::new(move |t| softmax(&x(t)?, 1).map(drop))),
        ("log_softmax", Box::new(move |t| log_softmax(&x(t)?, 3).map(drop))),
        ("tanh", Box::new(move |t| tanh(&x(t)?).map(drop))),
        ("mean_pixels", Box::new(move |t| mean_pixels(&x(t)?).map(drop))),
        (
            "activate_biased",
            Box::new(move |t| activate_biased(&even(t)?, &six(t)?, Activation::Glu).map(drop)),
        ),
        ("halves", Box::new(move |t| halves(&even(t)?).map(drop))),
        ("gaussian_sample", Box::new(move |t| gaussian_sample(&rows(t)?, &rows(t)?, &rows(t)?).map(drop))),
        ("gaussian_kl", Box::new(move |t| gaussian_kl(&rows(t)?, &rows(t)?).map(drop))),
        ("lstm", Box::new(move |t| lstm(&gates(t)?, &recurrent(t)?).map(drop))),
        ("power_iteration", Box::new(move |t| power_iteration(&filters(t)?, &c(t)?).map(drop))),
        ("spectral_norm", Box::new(move |t| spectral_norm(&filters(t)?, &c(t)?, &long(t)?).map(drop))),
        (
            "spectral_norm_step",
            Box::new(move |t| {
                let [u, v] = [c(t)?, long(t)?].map(|t| Var::from_tensor(&t));
                spectral_norm_step(&filters(t)?, &u?, &v?).map(drop)
            }),
        ),
        ("max_pool2d", Box::new(move |t| max_pool2d(&x(t)?, 2, 2).map(drop))),
        ("avg_pool2d", Box::new(move |t| avg_pool2d(&x(t)?, 3, 1, 1).map(drop))),
        ("resize_bilinear", Box::new(move |t| resize_bilinear(&x(t)?, 9, 4, true).map(drop))),
        ("resize_area", Box::new(move |t| resize_area(&x(t)?, 3, 3).map(drop))),
        (
            "adam_update",
            Box::new(move |t| {
                let [p, m, v] = [(); 3].map(|()| Var::from_tensor(&two(t)?.abs()?));
                let step = AdamStep::new(1, 0.1, (0.9, 0.999), 1e-8);
                adam_update(&p?, &two(t)?, &m?, &v?, step)
            }),
        ),
        ("ema_update", Box::new(move |t| ema_update(&Var::from_tensor(&x(t)?)?, &residual(t)?, 0.9))),
        ("sum_of_squares", Box::new(move |t| sum_of_squares(&x(t)?).map(drop))),
    ]
}

#[test]
fn the_reference_runs_once_in_f64_and_never_in_f32() {
    let mut types = vec![DType::F32];
    if device().is_cpu() {
        types.push(DType::F64); // nothing on a CUDA device computes in it
    }
    for (name, call) in operations() {
        for &dtype in &types {
            let has_kernel = dtype == DType::F32 && (device().is_cpu() || !REFERENCE_ON_CUDA.contains(&name));
            let before = fallbacks();
            call(dtype).unwrap_or_else(|e| panic!("{name} in {dtype:?}: {e}"));
            assert_eq!(fallbacks() - before, usize::from(!has_kernel), "{name} in {dtype:?}");
        }
    }
}

#[test]
fn only_the_calling_threads_fallbacks_are_counted() {
    let before = fallbacks();
    let there = std::thread::spawn(|| {
        activate(&values(&[2, 2], 1).to_dtype(DType::F64)?, Activation::Relu)?;
        Ok::<_, candle_core::Error>(fallbacks())
    });
    assert_eq!(there.join().expect("a thread").expect("an activation"), 1);
    assert_eq!(fallbacks(), before);
}

#[test]
fn what_the_kernels_do_not_take_runs_the_reference_with_its_gradients() {
    let vector = Var::from_tensor(&values(&[2, 3], 1)).expect("a vector");
    let (x, weight, bias) = (values(&[2, 4, 5, 5], 2), values(&[6, 7, 3, 3], 3), values(&[6], 4));
    let before = fallbacks();
    let y =
        joint_conv2d(&x, &vector, &weight, &bias, Activation::Relu, Conv2dSpec::new(1, 1)).expect("a map");
    assert_eq!(fallbacks() - before, 1);
    let gradients = y.sum_all().expect("a sum").backward().expect("gradients");
    assert_eq!(gradients.get(&vector).map(Tensor::dims), Some([2, 3].as_slice()));
}
