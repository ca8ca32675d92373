//! Differentiable augmentation on CUDA devices: see augment.cu.
use super::Sizes;
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

/// An augmentation of images of these sizes, of which there are some; the second input is the table.
pub(super) struct Augment(pub(super) Sizes);

impl Augment {
    fn pixels(&self) -> Grid {
        Grid::threads(self.0.b * self.0.plane())
    }
}

impl Op<2> for Augment {
    const NAME: &'static str = "augment";
    type Saved = ();

    fn output(&self) -> Shape {
        let Sizes { b, c, h, w } = self.0;
        (b, c, h, w).into()
    }

    fn forward(&self, queue: &Queue, [x, table]: [View<'_>; 2]) -> Result<(Buffer, ())> {
        let Sizes { b, c, h, w } = self.0;
        let (mut means, mut y) = (queue.buffer::<f32>(b)?, queue.buffer(x.len())?);
        queue.launch("augment_sums", Grid::blocks(b), args![x, &mut means, self.0.image()])?;
        let args = args![x, table, &mut means, &mut y, b as u32, c as u32, h as u32, w as u32];
        queue.launch("augment", self.pixels(), args)?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 2, ()>) -> Result<[Gradient; 2]> {
        let (Sizes { b, c, h, w }, [_, table]) = (self.0, pass.inputs);
        let (mut kept, mut dx) = (queue.buffer::<f32>(b)?, queue.buffer(pass.gradient.len())?);
        let of_kept = args![pass.gradient, table, &mut kept, c as u32, h as u32, w as u32];
        queue.launch("augment_kept", Grid::blocks(b), of_kept)?;
        let args = args![pass.gradient, table, &mut kept, &mut dx, b as u32, c as u32, h as u32, w as u32];
        queue.launch("augment_backward", self.pixels(), args)?;
        Ok([Gradient::Values(dx), Gradient::None])
    }
}
