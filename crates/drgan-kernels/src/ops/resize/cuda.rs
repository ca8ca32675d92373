//! Resizing on CUDA devices: see resize.cu.
use super::between::line;
use crate::cuda::launch::{Arg, Grid, MOST_ROWS, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

/// Threads that a launch has at least, where there are so many values.
const THREADS: usize = 1 << 18;

/// Bilinear resizing.
pub(super) struct Bilinear {
    /// Images and channels, and the sides of a map.
    pub(super) dims: (usize, usize, usize, usize),
    /// Sides of a resized map.
    pub(super) out: (usize, usize),
    pub(super) align_corners: bool,
}

impl Bilinear {
    /// The sizes as both kernels take them.
    fn sizes(&self) -> Vec<Arg<'static>> {
        let ((b, c, h, w), (oh, ow)) = (self.dims, self.out);
        let [rows, columns] = [line(h, oh, self.align_corners), line(w, ow, self.align_corners)];
        // Sides are far below an int's range, or the host's reference could not have its matrices.
        let sides = args![h as u32, w as u32, oh as u32, ow as u32];
        let lines = args![rows.0, rows.1, columns.0, columns.1];
        [args![b * c].as_slice(), sides, lines].concat()
    }

    /// A thread per pixel of a map, which does so many maps that there are enough threads.
    fn grid(&self, pixels: usize) -> Grid {
        let maps = self.dims.0 * self.dims.1;
        Grid::threads(pixels).times(THREADS.div_ceil(pixels).min(maps).min(MOST_ROWS))
    }
}

impl Op<1> for Bilinear {
    const NAME: &'static str = "resize_bilinear";
    type Saved = ();

    fn output(&self) -> Shape {
        (self.dims.0, self.dims.1, self.out.0, self.out.1).into()
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        let pixels = self.out.0 * self.out.1;
        let mut y = queue.buffer(self.dims.0 * self.dims.1 * pixels)?;
        let args = [args![x, &mut y].as_slice(), &self.sizes()].concat();
        queue.launch("resize_bilinear", self.grid(pixels), &args)?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let pixels = self.dims.2 * self.dims.3;
        let mut dx = queue.buffer(self.dims.0 * self.dims.1 * pixels)?;
        let args = [args![pass.gradient, &mut dx].as_slice(), &self.sizes()].concat();
        queue.launch("resize_bilinear_backward", self.grid(pixels), &args)?;
        Ok([Gradient::Values(dx)])
    }
}

/// Means of blocks.
pub(super) struct Area {
    /// Number of images and of channels.
    pub(super) maps: (usize, usize),
    /// Rows and columns of a block.
    pub(super) block: (usize, usize),
    /// Sides of the result.
    pub(super) out: (usize, usize),
}

impl Area {
    /// Number of values of the result, and the sizes as both kernels take them.
    fn sizes(&self) -> (usize, Vec<Arg<'static>>) {
        let (maps, (h, w), (oh, ow)) = (self.maps.0 * self.maps.1, self.block, self.out);
        (maps * oh * ow, args![maps, h as u32, w as u32, oh as u32, ow as u32].to_vec())
    }
}

impl Op<1> for Area {
    const NAME: &'static str = "resize_area";
    type Saved = ();

    fn output(&self) -> Shape {
        (self.maps.0, self.maps.1, self.out.0, self.out.1).into()
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        let (n, sizes) = self.sizes();
        let mut y = queue.buffer(n)?;
        queue.launch("resize_area", Grid::threads(n), &[args![x, &mut y].as_slice(), &sizes].concat())?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let (n, sizes) = self.sizes();
        let n = n * self.block.0 * self.block.1;
        let mut dx = queue.buffer(n)?;
        let args = [args![pass.gradient, &mut dx].as_slice(), &sizes].concat();
        queue.launch("resize_area_backward", Grid::threads(n), &args)?;
        Ok([Gradient::Values(dx)])
    }
}
