//! Sums of channels on a CUDA device, of which gradients of biases are made.
use super::common::{assert_near_largest, device, random};
use crate::cpu::channels::Channels;
use crate::cuda::channels::sums;
use crate::cuda::op::with_views;
use candle_core::DType;

#[test]
fn are_those_of_doubles_whether_channels_are_cut_or_not() {
    if device().is_cpu() {
        return;
    }
    for dims in [[2, 4, 3, 5], [3, 2, 83, 89], [5, 7, 1, 1], [1, 300, 2, 1]] {
        let x = random(&dims, 1);
        let rows = x.to_dtype(DType::F64).and_then(|x| x.transpose(0, 1)?.flatten_from(1)?.sum(1));
        let x = x.to_device(&device()).expect("a map on the device");
        let got =
            with_views([&x], |queue, [x]| Ok(queue.tensor(sums(queue, Channels::of(&dims), x)?, dims[1])));
        assert_near_largest(&format!("{dims:?}"), &got.expect("sums"), &rows.expect("sums in doubles"), 1e-6);
    }
}
