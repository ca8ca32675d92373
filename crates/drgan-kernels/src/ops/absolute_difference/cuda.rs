//! The mean absolute difference on CUDA devices: see absolute_difference.cu.
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

/// Blocks that the values are shared between, at most: enough for every GPU, and one block adds their sums.
const BLOCKS: usize = 256;
/// Values that a block takes, at least.
const VALUES: usize = 16_384;

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
        let parts = (n / VALUES).clamp(1, BLOCKS);
        let (mut mean, mut sums) = (queue.buffer(1)?, queue.buffer::<f64>(parts)?);
        let args = args![a, b, &mut sums, &mut mean, n];
        queue.launch("absolute_difference", Grid::blocks(parts), args)?;
        if parts > 1 {
            let args = args![sums.view(), &mut mean, parts, n];
            queue.launch("absolute_difference_finish", Grid::blocks(1), args)?;
        }
        Ok((mean, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 2, ()>) -> Result<[Gradient; 2]> {
        let ([a, b], n) = (pass.inputs, pass.inputs[0].len());
        let [mut da, mut db] = [queue.buffer_if(pass.wanted[0], n)?, queue.buffer_if(pass.wanted[1], n)?];
        let args = args![a, b, pass.gradient, &mut da, &mut db, n];
        queue.launch("absolute_difference_backward", Grid::threads(n), args)?;
        Ok([da.into(), db.into()])
    }
}
