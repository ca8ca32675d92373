//! Every operation runs its reference exactly once where it has no kernel, and never where it has one.
use super::common::{assert_near_largest, device};
use super::values;
use crate::testing::{Size, fallbacks, operations, places_of_fallbacks};
use crate::*;
use candle_core::{DType, Device, Tensor, Var};

/// Those without a kernel on CUDA devices.
const REFERENCE_ON_CUDA: &[&str] = &["adam_update", "ema_update", "sum_of_squares"];
/// Those without a kernel on the CPU.
const REFERENCE_ON_CPU: &[&str] = &["resize_area, by different factors"];

#[test]
fn the_reference_runs_once_in_f64_and_never_in_f32() {
    let mut types = vec![DType::F32];
    if device().is_cpu() {
        types.push(DType::F64); // nothing on a CUDA device computes in it
    }
    for operation in operations(Size::SMALL) {
        for &dtype in &types {
            let name = operation.name;
            let lack = if device().is_cpu() { REFERENCE_ON_CPU } else { REFERENCE_ON_CUDA };
            let has_kernel = dtype == DType::F32 && !lack.contains(&name);
            let before = fallbacks();
            operation.evaluate(&device(), dtype).unwrap_or_else(|e| panic!("{name} in {dtype:?}: {e}"));
            let expected = usize::from(!has_kernel && operation.is_counted);
            assert_eq!(fallbacks() - before, expected, "{name} in {dtype:?}");
        }
    }
}

/// Every operation of the table in f32 beside its reference in f64, at sizes of one block and of several.
#[test]
fn values_and_gradients_are_those_of_the_references_in_f64() {
    for size in [Size::SMALL, Size::ODD] {
        for operation in operations(size) {
            let name = operation.name;
            let [got, want] = [(device(), DType::F32), (Device::Cpu, DType::F64)].map(|(device, dtype)| {
                operation.evaluate(&device, dtype).unwrap_or_else(|e| panic!("{name} in {dtype:?}: {e}"))
            });
            assert_eq!(got.values.len(), want.values.len(), "{name}");
            for ((what, got), (_, want)) in got.named().zip(want.named()) {
                assert_near_largest(&format!("{name}, {size:?}: {what}"), got, want, operation.tolerance);
            }
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
    assert!(places_of_fallbacks()["conv2d_joint"] > 0);
    let gradients = y.sum_all().expect("a sum").backward().expect("gradients");
    assert_eq!(gradients.get(&vector).map(Tensor::dims), Some([2, 3].as_slice()));
}
