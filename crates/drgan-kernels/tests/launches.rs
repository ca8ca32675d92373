//! How many kernels each operation launches on a CUDA device. The table of docs/cuda.md is what is expected; the emulated device
//! counts.
#![cfg(all(feature = "cuda", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod common;

use candle_core::{DType, Result, Tensor, Var};
use common::{device, random};
use drgan_kernels::testing::{Size, convolve_by_columns, kernels, launches, operations};
use drgan_kernels::{
    Activation, Augmentation, Augmentations, Conv2dSpec, ConvNormSpec, Precision, activate, activate_biased,
    augment, avg_pool2d, backward, batch_norm, conv2d, conv2d_act, conv2d_batch_norm, gate, gaussian_kl,
    gaussian_sample, halves, inner_product, linear, log_softmax, lstm, max_pool2d, mean_absolute_difference,
    mean_pixels, moments, moments_contrast, open_cuda, open_cuda_with, power_iteration, resize_area,
    resize_bilinear, scale_shift, softmax, softplus_means, spectral_norm, spectral_norm_step, tanh,
    up_conv2d, update_running_statistics, upsample_nearest2x, word_attention,
};
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};

/// Held by whoever launches: the counts are of the whole program.
static LAUNCHING: Mutex<()> = Mutex::new(());

/// An operation of variables.
struct Case {
    name: &'static str,
    inputs: Vec<Tensor>,
    f: fn(&[Tensor]) -> Result<Tensor>,
}

fn case(name: &'static str, shapes: &[&[usize]], f: fn(&[Tensor]) -> Result<Tensor>) -> Case {
    let inputs = shapes.iter().enumerate().map(|(seed, shape)| random(shape, seed as u64)).collect();
    Case { name, inputs, f }
}

fn cases() -> Vec<Case> {
    const RELU: Activation = Activation::Relu;
    let (map, vector): (&[usize], &[usize]) = (&[2, 4, 6, 6], &[4]);
    let wide: &[usize] = &[2, 4, 64, 64];
    let weight: &[&[usize]] = &[&[4, 2, 3, 3], &[4], &[18]];
    let norm: fn(&[Tensor]) -> Result<Tensor> = |t| Ok(batch_norm(&t[0], &t[1], &t[2], 1e-5, RELU, None)?.y);
    vec![
        case("activate", &[map], |t| activate(&t[0], Activation::Glu)),
        case("scale_shift", &[map, vector, vector], |t| scale_shift(&t[0], &t[1], &t[2], RELU)),
        case("batch_norm", &[map, vector, vector], norm),
        case("batch_norm with a residual", &[map, vector, vector, map], |t| {
            Ok(batch_norm(&t[0], &t[1], &t[2], 1e-5, RELU, Some(&t[3]))?.y)
        }),
        case("batch_norm of few channels with many values", &[wide, vector, vector], norm),
        case("max_pool2d", &[map], |t| max_pool2d(&t[0], 2, 2)),
        case("avg_pool2d", &[map], |t| avg_pool2d(&t[0], 3, 1, 1)),
        case("gate", &[map, map], |t| gate(&t[0], &t[1], 0.5)),
        case("augment", &[&[2, 3, 6, 6]], |t| {
            let by = vec![Augmentation { shift: [1, -2], ..Augmentation::IDENTITY }; 2];
            augment(&t[0], &Augmentations::new(by, t[0].device())?)
        }),
        case("moments, the mean", &[map], |t| Ok(moments(&t[0])?.0)),
        case("moments of few channels with many values, the mean", &[wide], |t| Ok(moments(&t[0])?.0)),
        case("word_attention, Q", &[map, &[2, 4, 3]], |t| {
            let mask = Tensor::zeros((2, 3), DType::U8, t[0].device())?;
            Ok(word_attention(&t[0], &t[1], &mask)?.0)
        }),
        case("linear", &[&[2, 5], &[3, 5]], |t| linear(&t[0], &t[1])),
        case("softplus_means of 3 tensors", &[vector, vector, vector], |t| {
            softplus_means(&[&t[0], &t[1], &t[2]], false, 3.)
        }),
        case("mean_absolute_difference", &[map, map], |t| mean_absolute_difference(&t[0], &t[1])),
        case("mean_absolute_difference of many values", &[wide, wide], |t| {
            mean_absolute_difference(&t[0], &t[1])
        }),
        case("moments_contrast", &[map, map, map], |t| moments_contrast(&t[0], &t[1], &t[2])),
        case("inner_product", &[map, map], |t| inner_product(&t[0], &t[1])),
        case("softmax", &[map], |t| softmax(&t[0], 1)),
        case("log_softmax", &[map], |t| log_softmax(&t[0], 3)),
        case("tanh", &[map], |t| tanh(&t[0])),
        case("mean_pixels", &[map], |t| mean_pixels(&t[0])),
        case("activate_biased", &[&[3, 4], vector], |t| activate_biased(&t[0], &t[1], Activation::Glu)),
        case("halves, the second", &[&[2, 6]], |t| Ok(halves(&t[0])?.1)),
        case("gaussian_sample", &[vector, vector, vector], |t| gaussian_sample(&t[0], &t[1], &t[2])),
        case("gaussian_kl", &[vector, vector], |t| gaussian_kl(&t[0], &t[1])),
        case("lstm of 5 steps", &[&[2, 5, 2, 8], &[2, 2, 8]], |t| lstm(&t[0], &t[1])),
        case("resize_bilinear", &[map], |t| resize_bilinear(&t[0], 9, 4, true)),
        case("resize_area", &[map], |t| resize_area(&t[0], 3, 2)),
        case("upsample_nearest2x", &[map], |t| upsample_nearest2x(&t[0])),
        case("power_iteration", weight, |t| Ok(power_iteration(&t[0], &t[1])?.0)),
        case("spectral_norm", weight, |t| spectral_norm(&t[0], &t[1], &t[2])),
        case("spectral_norm_step", weight, |t| {
            spectral_norm_step(&t[0], &Var::from_tensor(&t[1])?, &Var::from_tensor(&t[2])?)
        }),
    ]
}

/// Convolutions, as cuDNN computes them.
fn convolutions() -> Vec<Case> {
    const SPEC: fn() -> Conv2dSpec = || Conv2dSpec::new(1, 1);
    const LEAKY: Activation = Activation::LeakyRelu(0.2);
    let (map, weight, bias): (&[usize], &[usize], &[usize]) = (&[2, 4, 6, 6], &[4, 4, 3, 3], &[4]);
    vec![
        case("conv2d", &[map, weight], |t| conv2d(&t[0], &t[1], None, SPEC())),
        case("conv2d, kernel as large as the map", &[map, &[1, 4, 6, 6]], |t| {
            conv2d(&t[0], &t[1], None, Conv2dSpec::new(1, 0))
        }),
        case("conv2d_act with a bias", &[map, weight, bias], |t| {
            conv2d_act(&t[0], &t[1], Some(&t[2]), LEAKY, SPEC())
        }),
        case("up_conv2d", &[map, weight], |t| up_conv2d(&t[0], &t[1])),
        case("conv2d_batch_norm, upsampled", &[map, weight, bias, bias], |t| {
            let spec = ConvNormSpec::new(SPEC(), Activation::Glu).with_upsample(true);
            Ok(conv2d_batch_norm(&t[0], &t[1], (&t[2], &t[3]), spec)?.y)
        }),
    ]
}

/// What the check of a device goes through leaves no kernel out: the operations of every size, in f32 and bf16, by cuDNN and by
/// columns. With `CUDAEMU_KERNELS=count`, since the large ones take the emulated device minutes.
#[test]
fn every_kernel_is_launched_by_the_table_of_operations() {
    if device().is_cpu() || std::env::var("CUDAEMU_KERNELS").as_deref() != Ok("count") {
        return;
    }
    let _alone = LAUNCHING.lock().unwrap_or_else(PoisonError::into_inner);
    let by_columns = open_cuda(0).unwrap();
    convolve_by_columns(&by_columns);
    for device in [device(), by_columns, open_cuda_with(0, Precision::Bf16).unwrap()] {
        for operation in [Size::SMALL, Size::LARGE].into_iter().flat_map(operations) {
            operation.evaluate(&device, DType::F32).unwrap_or_else(|e| panic!("{}: {e}", operation.name));
        }
    }
    let all = kernels();
    assert!(all.len() > 70, "{all:?}");
    let launched = |kernel: &str| launches(Some(&CString::new(kernel).unwrap())).unwrap() > 0;
    let never: Vec<_> = all.into_iter().filter(|kernel| !launched(kernel)).collect();
    assert!(never.is_empty(), "no operation of the table launches {never:?}");
}

/// What `f` gives, and the launches it makes: of all kernels, and of the one that adds tensors.
fn counted<R>(f: impl FnOnce() -> Result<R>) -> (R, [u64; 2]) {
    let now = || [None, Some(c"badd_f32")].map(|kernel| launches(kernel).unwrap());
    let before = now();
    let result = f().unwrap();
    let after = now();
    (result, [after[0] - before[0], after[1] - before[1]])
}

/// A row of the table, as measured.
fn row(Case { name, inputs, f }: Case) -> String {
    let inputs: Vec<Tensor> = inputs
        .iter()
        .map(|x| Var::from_tensor(&x.to_device(&device()).unwrap()).unwrap().into_inner())
        .collect();
    let (y, [forward, _]) = counted(|| f(&inputs));
    let (_, [back, additions]) = counted(|| backward(&y));
    // The first of a backward pass fills the output's gradient with ones.
    format!("| {name} | {forward} | {} | {additions} |", back - additions - 1)
}

/// The table of docs/cuda.md, as measured.
fn table() -> Vec<String> {
    let mut rows: Vec<String> = cases().into_iter().map(row).collect();
    let [x, weight, bias, mean, var] =
        [0, 1, 2, 3, 4].map(|seed| random(if seed == 0 { &[3, 4] } else { &[4] }, seed).to_device(&device()));
    let batch = batch_norm(&x.unwrap(), &weight.unwrap(), &bias.unwrap(), 1e-5, Activation::Relu, None);
    let (mean, var) = (Var::from_tensor(&mean.unwrap()).unwrap(), Var::from_tensor(&var.unwrap()).unwrap());
    let (_, [update, _]) = counted(|| update_running_statistics((&mean, &var), &batch.unwrap(), 0.1));
    rows.push(format!("| update_running_statistics | {update} | | |"));
    if std::env::var("DRGAN_CONV").as_deref() != Ok("gemm") {
        rows.extend(convolutions().into_iter().map(row));
    }
    rows
}

#[test]
fn the_documented_number_of_kernels_is_launched() {
    if device().is_cpu() || launches(None).is_none() {
        return;
    }
    let _alone = LAUNCHING.lock().unwrap_or_else(PoisonError::into_inner);
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cuda.md")).unwrap();
    let (_, section) = docs.split_once("## Launches").unwrap();
    let documented: Vec<&str> =
        section.lines().skip_while(|line| !line.starts_with("| --- |")).skip(1).collect();
    let table = table();
    assert_eq!(documented[..table.len().min(documented.len())], table, "{}", table.join("\n"));
}

/// The .cu files below a folder, without their ends.
fn sources(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "cu") {
            found.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    found.sort();
    found
}

#[test]
fn every_source_is_compiled() {
    let table = include_str!(concat!(env!("OUT_DIR"), "/ptx.rs"));
    let mut compiled: Vec<&str> =
        table.split(".ptx\"").filter_map(|before| before.rsplit('/').next()).map(str::trim).collect();
    compiled.pop(); // what is behind the last
    compiled.sort_unstable();
    let there = sources(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    assert_eq!(compiled, there, "a source without a line in a mod.rs: build.rs has not run since");
}
