//! The inner product on CUDA devices: see inner_product.cu.
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View, sums};
use candle_core::{Result, Shape};

/// The inner product of two tensors of one size.
pub(super) struct InnerProduct;

impl Op<2> for InnerProduct {
    const NAME: &'static str = "inner product";
    type Saved = ();

    fn output(&self) -> Shape {
        ().into()
    }

    fn forward(&self, queue: &Queue, [x, y]: [View<'_>; 2]) -> Result<(Buffer, ())> {
        Ok((sums::sum(queue, "inner_product", args![x, y], x.len(), 1.)?, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 2, ()>) -> Result<[Gradient; 2]> {
        let ([x, y], n) = (pass.inputs, pass.inputs[0].len());
        let [mut dx, mut dy] = [queue.buffer_if(pass.wanted[0], n)?, queue.buffer_if(pass.wanted[1], n)?];
        let args = args![x, y, pass.gradient, &mut dx, &mut dy, n];
        queue.launch("inner_product_backward", Grid::threads(n), args)?;
        Ok([dx.into(), dy.into()])
    }
}
