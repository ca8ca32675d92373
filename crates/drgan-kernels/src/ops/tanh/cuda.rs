//! The hyperbolic tangent on CUDA devices: see tanh.cu.
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

/// The hyperbolic tangent of a tensor of this shape.
pub(super) struct Tanh(pub(super) Shape);

impl Op<1> for Tanh {
    const NAME: &'static str = "tanh";
    type Saved = ();

    fn output(&self) -> Shape {
        self.0.clone()
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        let n = x.len();
        let mut y = queue.buffer(n)?;
        queue.launch("tanh_forward", Grid::threads(n), args![x, &mut y, n])?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let n = pass.gradient.len();
        let mut dx = queue.buffer(n)?;
        queue.launch("tanh_backward", Grid::threads(n), args![pass.output, pass.gradient, &mut dx, n])?;
        Ok([Gradient::Values(dx)])
    }
}
