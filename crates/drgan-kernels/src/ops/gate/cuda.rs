//! The gate on CUDA devices: see gate.cu.
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

/// A gate. The mask is computed again for the gradient.
pub(super) struct Gate {
    pub(super) scale: f32,
    pub(super) shape: Shape,
}

impl Op<2> for Gate {
    const NAME: &'static str = "gate";
    type Saved = ();

    fn output(&self) -> Shape {
        self.shape.clone()
    }

    fn forward(&self, queue: &Queue, [x, logits]: [View<'_>; 2]) -> Result<(Buffer, ())> {
        let n = x.len();
        let mut y = queue.buffer(n)?;
        queue.launch("gate", Grid::threads(n), args![x, logits, &mut y, n, self.scale])?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 2, ()>) -> Result<[Gradient; 2]> {
        let ([x, logits], n) = (pass.inputs, pass.gradient.len());
        let [mut dx, mut dl] = [queue.buffer_if(pass.wanted[0], n)?, queue.buffer_if(pass.wanted[1], n)?];
        let args = args![x, logits, pass.gradient, &mut dx, &mut dl, n, self.scale];
        queue.launch("gate_backward", Grid::threads(n), args)?;
        Ok([dx.into(), dl.into()])
    }
}
