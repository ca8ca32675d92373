//! Softplus on CUDA devices: see softplus.cu.
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass, apply};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape, Tensor};

pub(super) fn softplus(x: &Tensor) -> Result<Tensor> {
    apply(Softplus(x.shape().clone()), [x])
}

/// Softplus of a tensor of this shape.
struct Softplus(Shape);

impl Op<1> for Softplus {
    const NAME: &'static str = "softplus";
    type Saved = ();

    fn output(&self) -> Shape {
        self.0.clone()
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        let n = x.len();
        let mut y = queue.buffer(n)?;
        queue.launch("softplus", Grid::threads(n), args![x, &mut y, n])?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let n = pass.gradient.len();
        let mut dx = queue.buffer(n)?;
        queue.launch(
            "softplus_backward",
            Grid::threads(n),
            args![pass.inputs[0], pass.gradient, &mut dx, n],
        )?;
        Ok([Gradient::Values(dx)])
    }
}
