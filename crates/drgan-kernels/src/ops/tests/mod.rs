//! What holds for all operations.
mod channel_sums;
#[path = "../../../tests/common/mod.rs"]
pub(super) mod common;
mod fallbacks;
mod non_finite;

use candle_core::{Device, Tensor};

/// Values in [-1, 1] with nothing special about them.
fn values(shape: &[usize], seed: usize) -> Tensor {
    let n = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|i: usize| (i as f32 * 0.73 + seed as f32).sin()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
}
