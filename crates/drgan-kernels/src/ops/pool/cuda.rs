//! Pooling on CUDA devices: see pool.cu.
use super::window::Window;
use crate::cuda::launch::{Arg, Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

impl Window {
    /// The sizes as all kernels of pooling take them, without the padding.
    fn sizes(&self) -> [Arg<'static>; 7] {
        let Self { maps, side: (h, w), out: (oh, ow), kernel, stride, .. } = *self;
        // Maps of at most 2^34 values, with sides far below an int's range where a window's area is.
        let [h, w, oh, ow, kernel, stride] = [h, w, oh, ow, kernel, stride].map(|n| Arg::Int(n as u32));
        [Arg::from(maps.0 * maps.1), h, w, oh, ow, kernel, stride]
    }

    /// Number of values of all input and of all output maps.
    fn values(&self) -> (usize, usize) {
        let (maps, pixels) = (self.maps.0 * self.maps.1, self.pixels());
        (maps * pixels.0, maps * pixels.1)
    }
}

/// Max pooling.
pub(super) struct Max(pub(super) Window);

impl Op<1> for Max {
    const NAME: &'static str = "max_pool2d";
    type Saved = ();

    fn output(&self) -> Shape {
        self.0.output()
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        let n = self.0.values().1;
        let mut y = queue.buffer(n)?;
        let args = [args![x, &mut y].as_slice(), &self.0.sizes()].concat();
        queue.launch("pool_max", Grid::threads(n), &args)?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let n = self.0.values().0;
        let mut dx = queue.buffer(n)?;
        let args = [args![pass.inputs[0], pass.gradient, &mut dx].as_slice(), &self.0.sizes()].concat();
        queue.launch("pool_max_backward", Grid::threads(n), &args)?;
        Ok([Gradient::Values(dx)])
    }
}

/// Average pooling.
pub(super) struct Average(pub(super) Window);

impl Average {
    fn sizes(&self) -> Vec<Arg<'static>> {
        [self.0.sizes().as_slice(), args![self.0.padding as u32]].concat()
    }
}

impl Op<1> for Average {
    const NAME: &'static str = "avg_pool2d";
    type Saved = ();

    fn output(&self) -> Shape {
        self.0.output()
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        let n = self.0.values().1;
        let mut y = queue.buffer(n)?;
        let args = [args![x, &mut y].as_slice(), &self.sizes()].concat();
        queue.launch("pool_average", Grid::threads(n), &args)?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let n = self.0.values().0;
        let mut dx = queue.buffer(n)?;
        let args = [args![pass.gradient, &mut dx].as_slice(), &self.sizes()].concat();
        queue.launch("pool_average_backward", Grid::threads(n), &args)?;
        Ok([Gradient::Values(dx)])
    }
}

/// The mean over `plane` pixels.
pub(super) struct Mean {
    pub(super) b: usize,
    pub(super) c: usize,
    pub(super) plane: usize,
}

impl Op<1> for Mean {
    const NAME: &'static str = "mean over pixels";
    type Saved = ();

    fn output(&self) -> Shape {
        (self.b, self.c).into()
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        let rows = self.b * self.c;
        let mut y = queue.buffer(rows)?;
        queue.launch("pool_mean", Grid::blocks(rows), args![x, &mut y, self.plane])?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let n = pass.inputs[0].len();
        let mut dx = queue.buffer(n)?;
        queue.launch("pool_mean_backward", Grid::threads(n), args![pass.gradient, &mut dx, n, self.plane])?;
        Ok([Gradient::Values(dx)])
    }
}
