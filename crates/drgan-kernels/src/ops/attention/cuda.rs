//! Word attention on CUDA devices: see attention.cu.
use super::Sizes;
use crate::cuda::launch::{Arg, Grid, MOST_ROWS, THREADS, args};
use crate::cuda::op::{Gradient, Op, Pass, with_bytes};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape, Tensor};

/// Blocks of a backward pass, about: enough for every GPU, and few enough that their shares of the words' gradient are small.
const BLOCKS: usize = 512;

/// The words of all images, of which some are padding.
#[derive(Clone)]
pub(super) struct Captions {
    pub(super) sizes: Sizes,
    /// `(B, T)` u8, contiguous, 1 at padding.
    pub(super) mask: Tensor,
}

impl Captions {
    /// The sizes as all kernels take them.
    fn sizes(&self) -> [Arg<'static>; 4] {
        let Sizes { b, c, t, .. } = self.sizes;
        let [b, c, t] = [b, c, t].map(|n| Arg::Int(n as u32));
        [b, c, t, self.sizes.pixels().into()]
    }

    /// Images along y; along x as many blocks as an image has.
    fn grid(&self, blocks: usize) -> Grid {
        Grid::blocks(blocks).times(self.sizes.b.min(MOST_ROWS))
    }

    /// Number of values of a map of `channels`.
    fn values(&self, channels: usize) -> usize {
        self.sizes.b * channels * self.sizes.pixels()
    }

    /// A product with the words at each pixel: a map of `channels`.
    fn each_pixel(
        &self,
        queue: &Queue,
        kernel: &'static str,
        [x, words]: [View<'_>; 2],
        channels: usize,
    ) -> Result<Buffer> {
        with_bytes(&self.mask, |mask| {
            let mut y = queue.buffer(self.values(channels))?;
            let args = [args![x, words, mask, &mut y].as_slice(), &self.sizes()].concat();
            queue.launch(kernel, self.grid(self.sizes.pixels().div_ceil(THREADS)), &args)?;
            Ok(y)
        })
    }

    /// The words' gradient, if it is `wanted`, from the shares of it that a launch computes: `launch` gets the mask, the memory
    /// for the shares and the grid.
    fn words_gradient(
        &self,
        queue: &Queue,
        wanted: bool,
        launch: impl FnOnce(View<'_, u8>, &mut Option<Buffer>, Grid) -> Result<()>,
    ) -> Result<Gradient> {
        let Sizes { b, c, t, .. } = self.sizes;
        let parts = (BLOCKS / b).clamp(1, self.sizes.pixels().div_ceil(THREADS));
        with_bytes(&self.mask, |mask| {
            let mut shares = queue.buffer_if(wanted, b * parts * c * t)?;
            launch(mask, &mut shares, self.grid(parts))?;
            Gradient::when(wanted, || {
                let mut dw = queue.buffer(b * c * t)?;
                let sizes = args![parts as u32, b as u32, c as u32, t as u32];
                let args = [args![&mut shares, mask, &mut dw].as_slice(), sizes].concat();
                queue.launch("attention_words", Grid::threads(b * c * t), &args)?;
                Ok(dw)
            })
        })
    }
}

/// `theta` of maps and words.
pub(super) struct Score(pub(super) Captions);

impl Op<2> for Score {
    const NAME: &'static str = "attention to words";
    type Saved = ();

    fn output(&self) -> Shape {
        self.0.sizes.shape(self.0.sizes.t)
    }

    fn forward(&self, queue: &Queue, inputs: [View<'_>; 2]) -> Result<(Buffer, ())> {
        Ok((self.0.each_pixel(queue, "attention_theta", inputs, self.0.sizes.t)?, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 2, ()>) -> Result<[Gradient; 2]> {
        let ([h, words], theta, d_theta) = (pass.inputs, pass.output, pass.gradient);
        let mut dh = queue.buffer_if(pass.wanted[0], h.len())?;
        let dw = self.0.words_gradient(queue, pass.wanted[1], |mask, shares, grid| {
            let mut d_scores = queue.buffer::<f32>(theta.len())?;
            let args = args![h, words, mask, theta, d_theta, &mut d_scores, &mut dh, shares];
            queue.launch("attention_theta_backward", grid, &[args.as_slice(), &self.0.sizes()].concat())
        })?;
        Ok([dh.into(), dw])
    }
}

/// The context `Q`: the words at every pixel, weighted by theta.
pub(super) struct Read(pub(super) Captions);

impl Op<2> for Read {
    const NAME: &'static str = "words attended to";
    type Saved = ();

    fn output(&self) -> Shape {
        self.0.sizes.shape(self.0.sizes.c)
    }

    fn forward(&self, queue: &Queue, inputs: [View<'_>; 2]) -> Result<(Buffer, ())> {
        Ok((self.0.each_pixel(queue, "attention_read", inputs, self.0.sizes.c)?, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 2, ()>) -> Result<[Gradient; 2]> {
        let ([theta, words], dq) = (pass.inputs, pass.gradient);
        let mut d_theta = queue.buffer_if(pass.wanted[0], theta.len())?;
        let dw = self.0.words_gradient(queue, pass.wanted[1], |mask, shares, grid| {
            let args = args![theta, words, mask, dq, &mut d_theta, shares];
            queue.launch("attention_read_backward", grid, &[args.as_slice(), &self.0.sizes()].concat())
        })?;
        Ok([d_theta.into(), dw])
    }
}
