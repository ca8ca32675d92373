//! Softmax on CUDA devices: see softmax.cu.
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape, Tensor};

/// A softmax of a tensor of this shape, or its logarithm.
pub(super) struct Softmax {
    shape: Shape,
    /// Values that one sum takes, and how far apart they are.
    values: usize,
    apart: usize,
    logarithm: bool,
}

impl Softmax {
    pub(super) fn new(x: &Tensor, dim: usize, logarithm: bool) -> Self {
        let apart = x.dims().iter().skip(dim + 1).product();
        Self { shape: x.shape().clone(), values: x.dims()[dim], apart, logarithm }
    }

    fn rows(&self) -> usize {
        self.shape.elem_count() / self.values
    }
}

impl Op<1> for Softmax {
    const NAME: &'static str = "softmax";
    type Saved = ();

    fn output(&self) -> Shape {
        self.shape.clone()
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        let mut y = queue.buffer(x.len())?;
        let args = args![x, &mut y, self.rows(), self.values, self.apart, self.logarithm];
        queue.launch("softmax", Grid::threads(self.rows()), args)?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let mut dx = queue.buffer(pass.output.len())?;
        let (y, dy) = (pass.output, pass.gradient);
        let args = args![y, dy, &mut dx, self.rows(), self.values, self.apart, self.logarithm];
        queue.launch("softmax_backward", Grid::threads(self.rows()), args)?;
        Ok([Gradient::Values(dx)])
    }
}
