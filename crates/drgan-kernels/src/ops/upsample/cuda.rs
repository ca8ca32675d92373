//! Upsampling on CUDA devices: see upsample.cu.
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

/// Nearest-neighbour upsampling by two of maps of these dimensions.
pub(super) struct Nearest(pub(super) (usize, usize, usize, usize));

impl Nearest {
    /// Rows of all maps, and their length.
    fn rows(&self) -> (usize, usize) {
        let (b, c, h, w) = self.0;
        (b * c * h, w)
    }
}

impl Op<1> for Nearest {
    const NAME: &'static str = "upsample_nearest2x";
    type Saved = ();

    fn output(&self) -> Shape {
        let (b, c, h, w) = self.0;
        (b, c, 2 * h, 2 * w).into()
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        let (rows, w) = self.rows();
        let mut y = queue.buffer(4 * rows * w)?;
        queue.launch("upsample_nearest2x", Grid::threads(4 * rows * w), args![x, &mut y, rows, w])?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let (rows, w) = self.rows();
        let mut dx = queue.buffer(rows * w)?;
        let args = args![pass.gradient, &mut dx, rows, w];
        queue.launch("upsample_nearest2x_backward", Grid::threads(rows * w), args)?;
        Ok([Gradient::Values(dx)])
    }
}
