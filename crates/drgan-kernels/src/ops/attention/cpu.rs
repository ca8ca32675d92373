//! Word attention by blocks of pixels: scores and softmax, then the words read.
use super::Sizes;
use crate::cpu::gemm::{Matrix, gemm};
use crate::cpu::rows::affine::add_row;
use crate::cpu::rows::softmax::{softmax_gradient_rows, softmax_rows};
use crate::cpu::scratch::with_scratch;
use crate::cpu::shared_slice::{SharedSlice, fill_uninit};
use crate::op::{Gradient, Op, Pass};
use candle_core::Shape;
use rayon::prelude::*;

/// Pixels of one image that a task takes.
const BLOCK: usize = 1024;

/// A task's pixels: of which image, from which on, how many.
#[derive(Clone, Copy)]
struct Block {
    image: usize,
    from: usize,
    n: usize,
}

impl Sizes {
    fn blocks(&self) -> impl IndexedParallelIterator<Item = Block> + use<> {
        let (b, pixels) = (self.b, self.pixels());
        let each = pixels.div_ceil(BLOCK);
        (0..b * each).into_par_iter().with_max_len(1).map(move |i| {
            let from = i % each * BLOCK;
            Block { image: i / each, from, n: BLOCK.min(pixels - from) }
        })
    }

    /// Where a block starts in a map of `channels`.
    fn start(&self, block: Block, channels: usize) -> usize {
        block.image * channels * self.pixels() + block.from
    }

    /// A block of a map of `channels`, `(channels, n)`.
    fn map<'a>(&self, x: &'a [f32], block: Block, channels: usize) -> Matrix<'a> {
        Matrix::rows(&x[self.start(block, channels)..], self.pixels())
    }

    fn words<'a>(&self, words: &'a [f32], block: Block) -> &'a [f32] {
        &words[block.image * self.c * self.t..][..self.c * self.t]
    }

    /// The blocks' shares of the words' gradient, added up image by image in order.
    fn add_up(&self, shares: &[Vec<f32>]) -> Vec<f32> {
        let each = self.pixels().div_ceil(BLOCK);
        let mut sum = vec![0f32; self.b * self.c * self.t];
        for (i, share) in shares.iter().enumerate() {
            add_row(share, 1., &mut sum[i / each * share.len()..][..share.len()]);
        }
        sum
    }

    /// Rows of a block of `(T, pixels)`.
    ///
    /// # Safety
    /// As [`SharedSlice::slice_mut`].
    #[allow(clippy::mut_from_ref, reason = "rows are disjoint by contract")]
    unsafe fn rows<'a>(&self, out: &'a SharedSlice, block: Block) -> Vec<&'a mut [f32]> {
        let start = self.start(block, self.t);
        // SAFETY: the caller's promise; rows of one block do not overlap.
        (0..self.t).map(|t| unsafe { out.slice_mut(start + t * self.pixels(), block.n) }).collect()
    }
}

/// `theta` of maps and words. The scores are not kept.
pub(super) struct Score {
    pub(super) sizes: Sizes,
    /// What each word's score is raised by, `(B, T)`.
    pub(super) hide: Vec<f32>,
}

impl Op<2> for Score {
    const NAME: &'static str = "attention to words";
    type Saved = ();

    fn output(&self) -> Shape {
        self.sizes.shape(self.sizes.t)
    }

    fn forward(&self, [h, w]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        let (s, pixels) = (&self.sizes, self.sizes.pixels());
        // SAFETY: blocks cover all pixels and do not overlap; the product writes a block before the softmax reads it.
        let theta = unsafe {
            fill_uninit(s.b * s.t * pixels, |out| {
                s.blocks().for_each(|block| {
                    let words = Matrix::transposed(s.words(w, block), s.t);
                    out.gemm((s.t, block.n, s.c), words, s.map(h, block, s.c), s.start(block, s.t), pixels);
                    let hide = &self.hide[block.image * s.t..][..s.t];
                    softmax_rows(&mut s.rows(&out, block), hide);
                });
            })
        };
        (theta, ())
    }

    fn backward(&self, pass: Pass<'_, 2, ()>) -> [Gradient; 2] {
        let ([h, w], theta, dy) = (pass.inputs, pass.output, pass.gradient);
        let (s, pixels) = (&self.sizes, self.sizes.pixels());
        let mut shares = Vec::new();
        // SAFETY: blocks cover all pixels and do not overlap, and the product writes them without reading.
        let dh = unsafe {
            fill_uninit(h.len(), |dh| {
                let blocks = s.blocks().map(|block| {
                    with_scratch(s.t * block.n, |scores| {
                        let row = |t: usize| s.start(block, s.t) + t * pixels;
                        let theta: Vec<&[f32]> = (0..s.t).map(|t| &theta[row(t)..][..block.n]).collect();
                        let mut rows: Vec<&mut [f32]> = scores.chunks_exact_mut(block.n).collect();
                        for (t, d) in rows.iter_mut().enumerate() {
                            d.copy_from_slice(&dy[row(t)..][..block.n]);
                        }
                        softmax_gradient_rows(&theta, &mut rows);
                        let words = Matrix::rows(s.words(w, block), s.t);
                        let d = Matrix::rows(scores, block.n);
                        dh.gemm((s.c, block.n, s.t), words, d, s.start(block, s.c), pixels);
                        let mut share = vec![0f32; s.c * s.t];
                        let d = Matrix::transposed(scores, block.n);
                        gemm((s.c, s.t, block.n), s.map(h, block, s.c), d, &mut share, s.t, false);
                        share
                    })
                });
                shares = blocks.collect();
            })
        };
        [Gradient::Values(dh), Gradient::Values(s.add_up(&shares))]
    }
}

/// The context `Q`: the words at every pixel, weighted by theta.
pub(super) struct Read(pub(super) Sizes);

impl Op<2> for Read {
    const NAME: &'static str = "words attended to";
    type Saved = ();

    fn output(&self) -> Shape {
        self.0.shape(self.0.c)
    }

    fn forward(&self, [theta, w]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        let (s, pixels) = (&self.0, self.0.pixels());
        // SAFETY: blocks cover all pixels and do not overlap, and the product writes them without reading.
        let q = unsafe {
            fill_uninit(s.b * s.c * pixels, |out| {
                s.blocks().for_each(|block| {
                    let words = Matrix::rows(s.words(w, block), s.t);
                    let theta = s.map(theta, block, s.t);
                    out.gemm((s.c, block.n, s.t), words, theta, s.start(block, s.c), pixels);
                });
            })
        };
        (q, ())
    }

    fn backward(&self, pass: Pass<'_, 2, ()>) -> [Gradient; 2] {
        let ([theta, w], dq, s, pixels) = (pass.inputs, pass.gradient, &self.0, self.0.pixels());
        let mut shares = Vec::new();
        // SAFETY: as above.
        let d_theta = unsafe {
            fill_uninit(theta.len(), |out| {
                let blocks = s.blocks().map(|block| {
                    let (words, d) = (Matrix::transposed(s.words(w, block), s.t), s.map(dq, block, s.c));
                    out.gemm((s.t, block.n, s.c), words, d, s.start(block, s.t), pixels);
                    let theta = Matrix::transposed(&theta[s.start(block, s.t)..], pixels);
                    let mut share = vec![0f32; s.c * s.t];
                    gemm((s.c, s.t, block.n), d, theta, &mut share, s.t, false);
                    share
                });
                shares = blocks.collect();
            })
        };
        [Gradient::Values(d_theta), Gradient::Values(s.add_up(&shares))]
    }
}
