//! The linear map on CUDA devices: cuBLAS's matrix products, one for each result, without nodes of their own in the graph.
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::product::{Factor, Product, Target};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

/// A linear map of these sizes: batch, inputs, outputs.
pub(super) struct Linear(pub(super) (usize, usize, usize));

/// `op(a) op(b)`, an `m x n` matrix of sums of `k` products.
fn product(queue: &Queue, [m, n, k]: [usize; 3], a: Factor<'_>, b: Factor<'_>) -> Result<Buffer> {
    let mut values = queue.buffer(m * n)?;
    let to = Target { values: &mut values, from: 0, row: n, step: 0 };
    queue.product(Product { m, n, k, times: 1, add: false }, a, b, to)?;
    Ok(values)
}

impl Op<2> for Linear {
    const NAME: &'static str = "linear";
    type Saved = ();

    fn output(&self) -> Shape {
        (self.0.0, self.0.2).into()
    }

    fn forward(&self, queue: &Queue, [x, w]: [View<'_>; 2]) -> Result<(Buffer, ())> {
        let (b, inp, out) = self.0;
        let (x, w) = (Factor::new(x, inp), Factor::new(w, inp));
        Ok((product(queue, [b, out, inp], x, w.transposed())?, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 2, ()>) -> Result<[Gradient; 2]> {
        let ((b, inp, out), [x, w]) = (self.0, pass.inputs);
        let (x, w, dy) = (Factor::new(x, inp), Factor::new(w, inp), Factor::new(pass.gradient, out));
        Ok([
            Gradient::when(pass.wanted[0], || product(queue, [b, inp, out], dy, w))?,
            Gradient::when(pass.wanted[1], || product(queue, [out, inp, b], dy.transposed(), x))?,
        ])
    }
}
