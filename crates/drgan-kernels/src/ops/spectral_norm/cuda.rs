//! Power iteration and division on CUDA devices: see spectral_norm.cu.
use crate::cuda::launch::{Arg, Grid, THREADS, args};
use crate::cuda::op::{Gradient, Op, Pass, with_views};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape, Tensor};

/// Blocks of a launch, about: enough for every GPU.
const BLOCKS: usize = 512;
/// Rows of a matrix that a block multiplies by v (`ROWS` in spectral_norm.cu).
const ROWS: usize = 4;

/// A weight seen as a matrix.
#[derive(Clone)]
pub(super) struct Matrix {
    pub(super) shape: Shape,
    /// Rows and columns, none of them 0.
    pub(super) sides: (usize, usize),
}

/// Vectors of a power iteration, and the largest singular value.
pub(super) struct Singular {
    u: Buffer,
    v: Buffer,
    sigma: Buffer,
}

impl Matrix {
    fn values(&self) -> usize {
        self.sides.0 * self.sides.1
    }

    /// A launch that does little per value.
    fn grid(&self) -> Grid {
        Grid::blocks(self.values().div_ceil(4 * THREADS).min(BLOCKS))
    }

    /// `u'` and `v'` of one power iteration, as constants.
    pub(super) fn iterate(&self, w: &Tensor, u: &Tensor) -> Result<(Tensor, Tensor)> {
        with_views([w, u], |queue, [w, u]| {
            let found = self.iterate_and_divide(queue, w, u, [Arg::NONE; 2], Arg::NONE)?;
            let (o, k) = self.sides;
            Ok((queue.tensor(found.u, o), queue.tensor(found.v, k)))
        })
    }

    /// One power iteration from `u`, whose vectors are written to `[of_u, of_v]` too, and the quotient written to `y`; null
    /// pointers where neither is wanted. Three launches.
    fn iterate_and_divide(
        &self,
        queue: &Queue,
        w: View<'_>,
        u: View<'_>,
        [of_u, of_v]: [Arg<'_>; 2],
        y: Arg<'_>,
    ) -> Result<Singular> {
        let (o, k) = self.sides;
        let columns = Grid::threads(k);
        let number = (BLOCKS / 4).div_ceil(k.div_ceil(THREADS)).min(o.div_ceil(16)).min(8);
        let rows = o.div_ceil(number);
        let number = o.div_ceil(rows);
        let mut parts = queue.buffer::<f64>(number * k)?;
        let args = args![w, u, &mut parts, o as u32, k, rows as u32];
        queue.launch("spectral_columns", columns.times(number), args)?;

        let (mut v, mut wv) = (queue.buffer(k)?, queue.buffer::<f64>(o)?);
        let args = args![w, &mut parts, number as u32, &mut v, of_v, &mut wv, o as u32, k];
        queue.launch("spectral_rows_of_parts", Grid::blocks(o.div_ceil(ROWS)), args)?;

        let mut found = Singular { u: queue.buffer(o)?, v, sigma: queue.buffer(1)? };
        let grid = if y == Arg::NONE { Grid::blocks(1) } else { self.grid() };
        let (u, sigma) = (&mut found.u, &mut found.sigma);
        let args = args![w, &mut wv, u, of_u, sigma, y, o as u32, self.values(), true];
        queue.launch("spectral_divide", grid, args)?;
        Ok(found)
    }

    /// `(dy - <dy, y> u v^T) / sigma`: two launches.
    fn gradient(
        &self,
        queue: &Queue,
        [dy, y]: [View<'_>; 2],
        [u, v, sigma]: [View<'_>; 3],
    ) -> Result<Gradient> {
        let ((o, k), grid) = (self.sides, self.grid());
        let number = self.values().div_ceil(4 * THREADS).min(BLOCKS);
        let mut parts = queue.buffer::<f64>(number)?;
        queue.launch("spectral_products", grid, args![dy, y, &mut parts, self.values()])?;
        let mut dw = queue.buffer(self.values())?;
        let args = args![dy, &mut parts, number as u32, u, v, sigma, &mut dw, o as u32, k];
        queue.launch("spectral_divide_backward", Grid::blocks(o), args)?;
        Ok(Gradient::Values(dw))
    }
}

/// The division of a weight, which leaves sigma for the backward pass. Its inputs are W, u and v.
pub(super) struct Divide(pub(super) Matrix);

impl Op<3> for Divide {
    const NAME: &'static str = "spectral_norm";
    type Saved = Buffer;

    fn output(&self) -> Shape {
        self.0.shape.clone()
    }

    fn forward(&self, queue: &Queue, [w, u, v]: [View<'_>; 3]) -> Result<(Buffer, Buffer)> {
        let (o, k) = self.0.sides;
        let mut wv = queue.buffer::<f64>(o)?;
        let args = args![w, v, &mut wv, o as u32, k];
        queue.launch("spectral_rows", Grid::blocks(o.div_ceil(ROWS)), args)?;
        let (mut sigma, mut y) = (queue.buffer(1)?, queue.buffer(self.0.values())?);
        let args = args![w, &mut wv, u, Arg::NONE, &mut sigma, &mut y, o as u32, self.0.values(), false];
        queue.launch("spectral_divide", self.0.grid(), args)?;
        Ok((y, sigma))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 3, Buffer>) -> Result<[Gradient; 3]> {
        let ([_, u, v], of_y) = (pass.inputs, [pass.gradient, pass.output]);
        let dw = self.0.gradient(queue, of_y, [u, v, pass.saved.view()])?;
        Ok([dw, Gradient::None, Gradient::None])
    }
}

/// A power iteration that changes u and v where they are, and the division. Its input is W.
pub(super) struct Step {
    pub(super) matrix: Matrix,
    pub(super) u: Tensor,
    pub(super) v: Tensor,
}

impl Op<1> for Step {
    const NAME: &'static str = "spectral_norm_step";
    type Saved = Singular;

    fn output(&self) -> Shape {
        self.matrix.shape.clone()
    }

    fn forward(&self, queue: &Queue, [w]: [View<'_>; 1]) -> Result<(Buffer, Singular)> {
        // What comes before in the queue has read u and v, and what comes after reads the new ones. The backward pass has
        // copies, since another step may come before it.
        with_views([&self.u, &self.v], |_, [u, v]| {
            let mut y = queue.buffer(self.matrix.values())?;
            let of_y = Arg::from(&mut y);
            let found = self.matrix.iterate_and_divide(queue, w, u, [u.into(), v.into()], of_y)?;
            Ok((y, found))
        })
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, Singular>) -> Result<[Gradient; 1]> {
        let found = pass.saved;
        let singular = [found.u.view(), found.v.view(), found.sigma.view()];
        Ok([self.matrix.gradient(queue, [pass.gradient, pass.output], singular)?])
    }
}
