//! Mean and variance on CUDA devices: see moments.cu.
use crate::cpu::channels::Channels;
use crate::cuda::launch::{Grid, MOST_ROWS, THREADS, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

/// Blocks that the values of all channels are shared between, about: enough for every GPU.
const BLOCKS: usize = 512;
/// Values that a block takes, at least.
const VALUES: usize = 4096;

/// The moments of a map of these dimensions, as `(2, C)`.
pub(crate) struct Moments(pub(crate) Vec<usize>);

impl Op<1> for Moments {
    const NAME: &'static str = "moments";
    type Saved = ();

    fn output(&self) -> Shape {
        (2, self.0[1]).into()
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        let Channels { b, c, plane } = Channels::of(&self.0);
        let parts = (BLOCKS / c).min(b * plane / VALUES).max(1);
        let mut moments = queue.buffer(2 * c)?;
        let mut sums = queue.buffer::<f64>(if parts > 1 { 2 * c * parts } else { 0 })?;
        let grid = Grid::blocks(parts).times(c.min(MOST_ROWS));
        let sizes = args![b as u32, c as u32, plane];
        queue.launch("moments", grid, &[args![x, &mut sums, &mut moments].as_slice(), sizes].concat())?;
        if parts > 1 {
            let args = [args![x, &mut sums, &mut moments, parts as u32].as_slice(), sizes].concat();
            queue.launch("moments_finish", Grid::blocks(c), &args)?;
        }
        Ok((moments, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let Channels { b, c, plane } = Channels::of(&self.0);
        let mut dx = queue.buffer(b * c * plane)?;
        let grid = Grid::blocks(plane.div_ceil(4 * THREADS)).times((b * c).min(MOST_ROWS));
        let args = args![pass.inputs[0], pass.output, pass.gradient, &mut dx, b as u32, c as u32, plane];
        queue.launch("moments_backward", grid, args)?;
        Ok([Gradient::Values(dx)])
    }
}
