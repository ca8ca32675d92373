//! Gaussians on CUDA devices: see gaussian.cu.
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

/// The first or the second half of each row.
pub(super) struct Half {
    pub(super) rows: usize,
    /// Of a half.
    pub(super) columns: usize,
    pub(super) second: bool,
}

impl Op<1> for Half {
    const NAME: &'static str = "half of each row";
    type Saved = ();

    fn output(&self) -> Shape {
        (self.rows, self.columns).into()
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        let n = self.rows * self.columns;
        let mut y = queue.buffer(n)?;
        queue.launch("gaussian_half", Grid::threads(n), args![x, &mut y, n, self.columns, self.second])?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let n = pass.inputs[0].len();
        let mut dx = queue.buffer(n)?;
        let args = args![pass.gradient, &mut dx, n, self.columns, self.second];
        queue.launch("gaussian_half_backward", Grid::threads(n), args)?;
        Ok([Gradient::Values(dx)])
    }
}

/// A sample in this shape, of mean, logarithm of the variance and noise.
pub(super) struct Sample(pub(super) Shape);

impl Op<3> for Sample {
    const NAME: &'static str = "sample of a Gaussian";
    type Saved = ();

    fn output(&self) -> Shape {
        self.0.clone()
    }

    fn forward(&self, queue: &Queue, [mu, logvar, eps]: [View<'_>; 3]) -> Result<(Buffer, ())> {
        let n = mu.len();
        let mut y = queue.buffer(n)?;
        queue.launch("gaussian_sample", Grid::threads(n), args![mu, logvar, eps, &mut y, n])?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 3, ()>) -> Result<[Gradient; 3]> {
        let ([_, logvar, eps], [_, of_logvar, of_eps], n) = (pass.inputs, pass.wanted, pass.gradient.len());
        let [mut d_logvar, mut d_eps] = [queue.buffer_if(of_logvar, n)?, queue.buffer_if(of_eps, n)?];
        if of_logvar || of_eps {
            let args = args![logvar, eps, pass.gradient, &mut d_logvar, &mut d_eps, n];
            queue.launch("gaussian_sample_backward", Grid::threads(n), args)?;
        }
        Ok([Gradient::OfOutput, d_logvar.into(), d_eps.into()])
    }
}

/// The divergence from the standard normal distribution, of mean and logarithm of the variance.
pub(super) struct Divergence;

impl Op<2> for Divergence {
    const NAME: &'static str = "divergence of a Gaussian";
    type Saved = ();

    fn output(&self) -> Shape {
        ().into()
    }

    fn forward(&self, queue: &Queue, [mu, logvar]: [View<'_>; 2]) -> Result<(Buffer, ())> {
        let mut kl = queue.buffer(1)?;
        queue.launch("gaussian_kl", Grid::blocks(1), args![mu, logvar, &mut kl, mu.len()])?;
        Ok((kl, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 2, ()>) -> Result<[Gradient; 2]> {
        let ([mu, logvar], n) = (pass.inputs, pass.inputs[0].len());
        let [mut d_mu, mut d_logvar] =
            [queue.buffer_if(pass.wanted[0], n)?, queue.buffer_if(pass.wanted[1], n)?];
        let args = args![mu, logvar, pass.gradient, &mut d_mu, &mut d_logvar, n];
        queue.launch("gaussian_kl_backward", Grid::threads(n), args)?;
        Ok([d_mu.into(), d_logvar.into()])
    }
}
