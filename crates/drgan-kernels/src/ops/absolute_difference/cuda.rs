//! The mean absolute difference on CUDA devices: see absolute_difference.cu.
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View, sums};
use candle_core::{Result, Shape};

/// The mean absolute difference of two tensors of one size.
pub(super) struct AbsoluteDifference;

impl Op<2> for AbsoluteDifference {
    const NAME: &'static str = "mean absolute difference";
    type Saved = ();

    fn output(&self) -> Shape {
        ().into()
    }

    fn forward(&self, queue: &Queue, [a, b]: [View<'_>; 2]) -> Result<(Buffer, ())> {
        let n = a.len();
        Ok((sums::sum(queue, "absolute_difference", args![a, b], n, 1. / n as f64)?, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 2, ()>) -> Result<[Gradient; 2]> {
        let ([a, b], n) = (pass.inputs, pass.inputs[0].len());
        let [mut da, mut db] = [queue.buffer_if(pass.wanted[0], n)?, queue.buffer_if(pass.wanted[1], n)?];
        let args = args![a, b, pass.gradient, &mut da, &mut db, n];
        queue.launch("absolute_difference_backward", Grid::threads(n), args)?;
        Ok([da.into(), db.into()])
    }
}
