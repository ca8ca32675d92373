//! The contrast of statistics on CUDA devices: see contrast.cu.
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

/// The contrast of three maps' means and variances, each `(2, C)`.
pub(super) struct Contrast;

impl Op<3> for Contrast {
    const NAME: &'static str = "contrast of moments";
    type Saved = ();

    fn output(&self) -> Shape {
        ().into()
    }

    fn forward(&self, queue: &Queue, [near, far, to]: [View<'_>; 3]) -> Result<(Buffer, ())> {
        let mut y = queue.buffer(1)?;
        let channels = (near.len() / 2) as u32;
        queue.launch("contrast", Grid::blocks(1), args![near, far, to, &mut y, channels])?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 3, ()>) -> Result<[Gradient; 3]> {
        let ([near, far, to], [of_near, of_far, of_to]) = (pass.inputs, pass.wanted);
        let n = near.len();
        let mut d_near = queue.buffer_if(of_near, n)?;
        let mut d_far = queue.buffer_if(of_far, n)?;
        let mut d_to = queue.buffer_if(of_to, n)?;
        let args = args![near, far, to, pass.gradient, &mut d_near, &mut d_far, &mut d_to, (n / 2) as u32];
        queue.launch("contrast_backward", Grid::blocks(1), args)?;
        Ok([d_near.into(), d_far.into(), d_to.into()])
    }
}
