use crate::cpu::rows;
use crate::cpu::{Matrix, SharedSlice, fill_uninit, gemm, is_fast, slice, with_scratch, with_values};
use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// What a padding word's score is lowered by: `exp` of it is 0 in every float type, its sum with a score is finite.
const EXCLUDED: f64 = -1e9;

/// Every pixel of a map reads the words it looks like: `theta_tp = softmax over words of <h_p, w_t>` and
/// `Q_p = sum_t theta_tp w_t`, as `(Q, theta)`. Padding words are neither scored nor read; among padding alone, theta is
/// even and Q is 0.
///
/// # Shapes
/// `h` `(B, C, H, W)`, `words` `(B, C, T)`, `mask` `(B, T)` u8 with 1 at padding; Q as `h`, theta `(B, T, H, W)`.
///
/// # Errors
/// Shapes that do not fit, or are empty.
pub fn word_attention(h: &Tensor, words: &Tensor, mask: &Tensor) -> Result<(Tensor, Tensor)> {
    let ((b, c, height, width), (_, _, t)) = (h.dims4()?, words.dims3()?);
    if words.dims() != [b, c, t] || mask.dims() != [b, t] || b * c * t * height * width == 0 {
        bail!(
            "word_attention: expected h (B, C, H, W), words (B, C, T), mask (B, T), none empty, got {:?}, {:?}, {:?}",
            h.dims(),
            words.dims(),
            mask.dims()
        )
    }
    if !(is_fast(h) && is_fast(words)) {
        return reference(h, words, mask);
    }
    let padding = mask.to_dtype(words.dtype())?; // (B, T)
    let words = words.broadcast_mul(&padding.unsqueeze(1)?.affine(-1., 1.)?)?.contiguous()?;
    let hide = (padding * EXCLUDED)?.flatten_all()?.to_vec1()?;
    let sizes = Sizes { b, c, t, pixels: height * width, side: (height, width) };
    let theta = h.contiguous()?.apply_op2(&words, Score { sizes, hide })?;
    Ok((theta.apply_op2(&words, Read(sizes))?, theta))
}

#[derive(Clone, Copy)]
struct Sizes {
    b: usize,
    c: usize,
    t: usize,
    pixels: usize,
    side: (usize, usize),
}

/// Pixels of one picture that a task takes.
const BLOCK: usize = 1024;

/// A task's pixels: of which picture, from which on, how many.
#[derive(Clone, Copy)]
struct Block {
    image: usize,
    from: usize,
    n: usize,
}

impl Sizes {
    fn blocks(&self) -> impl IndexedParallelIterator<Item = Block> + use<> {
        let Self { b, pixels, .. } = *self;
        let each = pixels.div_ceil(BLOCK);
        (0..b * each).into_par_iter().with_max_len(1).map(move |i| {
            let from = i % each * BLOCK;
            Block { image: i / each, from, n: BLOCK.min(pixels - from) }
        })
    }

    /// Where a block starts in a map of `channels`.
    fn start(&self, block: Block, channels: usize) -> usize {
        block.image * channels * self.pixels + block.from
    }

    /// A block of a map of `channels`, `(channels, n)`.
    fn map<'a>(&self, x: &'a [f32], block: Block, channels: usize) -> Matrix<'a> {
        Matrix::rows(&x[self.start(block, channels)..], self.pixels)
    }

    fn words<'a>(&self, words: &'a [f32], block: Block) -> &'a [f32] {
        &words[block.image * self.c * self.t..][..self.c * self.t]
    }

    /// The blocks' shares of the words' gradient, added up picture by picture in order.
    fn add_up(&self, shares: &[Vec<f32>]) -> Vec<f32> {
        let each = self.pixels.div_ceil(BLOCK);
        let mut sum = vec![0f32; self.b * self.c * self.t];
        for (i, share) in shares.iter().enumerate() {
            rows::add_row(share, 1., &mut sum[i / each * share.len()..][..share.len()]);
        }
        sum
    }

    fn shape(&self, channels: usize) -> Shape {
        (self.b, channels, self.side.0, self.side.1).into()
    }

    /// Rows of a block of `(T, pixels)`.
    ///
    /// # Safety
    /// As [`SharedSlice::slice_mut`].
    #[allow(clippy::mut_from_ref, reason = "rows are disjoint by contract")]
    unsafe fn rows<'a>(&self, out: &'a SharedSlice, block: Block) -> Vec<&'a mut [f32]> {
        let start = self.start(block, self.t);
        // SAFETY: the caller's promise; rows of one block do not overlap.
        (0..self.t).map(|t| unsafe { out.slice_mut(start + t * self.pixels, block.n) }).collect()
    }
}

/// `theta` of maps and words. The scores are not kept.
struct Score {
    sizes: Sizes,
    hide: Vec<f32>,
}

impl CustomOp2 for Score {
    fn name(&self) -> &'static str {
        "attention to words"
    }

    fn cpu_fwd(
        &self,
        h: &CpuStorage,
        lh: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (h, w, s) = (slice(h, lh)?, slice(w, lw)?, &self.sizes);
        // SAFETY: blocks cover all pixels and do not overlap; the product writes a block before the softmax reads it.
        let theta = unsafe {
            fill_uninit(s.b * s.t * s.pixels, |out| {
                s.blocks().for_each(|block| {
                    let words = Matrix::transposed(s.words(w, block), s.t);
                    out.gemm((s.t, block.n, s.c), words, s.map(h, block, s.c), s.start(block, s.t), s.pixels);
                    let hide = &self.hide[block.image * s.t..][..s.t];
                    rows::softmax_rows(&mut s.rows(&out, block), hide);
                });
            })
        };
        Ok((CpuStorage::F32(theta), s.shape(s.t)))
    }

    fn bwd(
        &self,
        h: &Tensor,
        w: &Tensor,
        theta: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dy, s) = (dy.contiguous()?, &self.sizes);
        let mut shares = Vec::new();
        let dh = with_values([h, w, theta, &dy], |[h, w, theta, dy]| {
            // SAFETY: blocks cover all pixels and do not overlap, and the product writes them without reading.
            Ok(unsafe {
                fill_uninit(h.len(), |dh| {
                    let blocks = s.blocks().map(|block| {
                        with_scratch(s.t * block.n, |scores| {
                            let row = |t: usize| s.start(block, s.t) + t * s.pixels;
                            let theta: Vec<&[f32]> = (0..s.t).map(|t| &theta[row(t)..][..block.n]).collect();
                            let mut rows: Vec<&mut [f32]> = scores.chunks_exact_mut(block.n).collect();
                            for (t, d) in rows.iter_mut().enumerate() {
                                d.copy_from_slice(&dy[row(t)..][..block.n]);
                            }
                            rows::softmax_gradient_rows(&theta, &mut rows);
                            let words = Matrix::rows(s.words(w, block), s.t);
                            let d = Matrix::rows(scores, block.n);
                            dh.gemm((s.c, block.n, s.t), words, d, s.start(block, s.c), s.pixels);
                            let mut share = vec![0f32; s.c * s.t];
                            let d = Matrix::transposed(scores, block.n);
                            gemm((s.c, s.t, block.n), s.map(h, block, s.c), d, &mut share, s.t, false);
                            share
                        })
                    });
                    shares = blocks.collect();
                })
            })
        })?;
        gradients((h, dh), (w, s.add_up(&shares)))
    }
}

/// `Q` of theta and words.
struct Read(Sizes);

impl CustomOp2 for Read {
    fn name(&self) -> &'static str {
        "words attended to"
    }

    fn cpu_fwd(
        &self,
        theta: &CpuStorage,
        lt: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (theta, w, s) = (slice(theta, lt)?, slice(w, lw)?, &self.0);
        // SAFETY: blocks cover all pixels and do not overlap, and the product writes them without reading.
        let q = unsafe {
            fill_uninit(s.b * s.c * s.pixels, |out| {
                s.blocks().for_each(|block| {
                    let words = Matrix::rows(s.words(w, block), s.t);
                    let theta = s.map(theta, block, s.t);
                    out.gemm((s.c, block.n, s.t), words, theta, s.start(block, s.c), s.pixels);
                });
            })
        };
        Ok((CpuStorage::F32(q), s.shape(s.c)))
    }

    fn bwd(
        &self,
        theta: &Tensor,
        w: &Tensor,
        _: &Tensor,
        dq: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dq, s) = (dq.contiguous()?, &self.0);
        let mut shares = Vec::new();
        let d_theta = with_values([theta, w, &dq], |[theta, w, dq]| {
            // SAFETY: as above.
            Ok(unsafe {
                fill_uninit(theta.len(), |out| {
                    let blocks = s.blocks().map(|block| {
                        let (words, d) = (Matrix::transposed(s.words(w, block), s.t), s.map(dq, block, s.c));
                        out.gemm((s.t, block.n, s.c), words, d, s.start(block, s.t), s.pixels);
                        let theta = Matrix::transposed(&theta[s.start(block, s.t)..], s.pixels);
                        let mut share = vec![0f32; s.c * s.t];
                        gemm((s.c, s.t, block.n), d, theta, &mut share, s.t, false);
                        share
                    });
                    shares = blocks.collect();
                })
            })
        })?;
        gradients((theta, d_theta), (w, s.add_up(&shares)))
    }
}

/// Gradients of those that ask for one.
fn gradients(a: (&Tensor, Vec<f32>), b: (&Tensor, Vec<f32>)) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let tracked = |(of, values): (&Tensor, Vec<f32>)| {
        of.track_op().then(|| Tensor::from_vec(values, of.shape(), &Device::Cpu)).transpose()
    };
    Ok((tracked(a)?, tracked(b)?))
}

/// Plain-tensor form of [`word_attention`].
pub fn reference(h: &Tensor, words: &Tensor, mask: &Tensor) -> Result<(Tensor, Tensor)> {
    let ((b, c, height, width), t) = (h.dims4()?, words.dim(2)?);
    let padding = mask.to_dtype(h.dtype())?.unsqueeze(1)?; // (B, 1, T)
    let w = words.broadcast_mul(&padding.affine(-1., 1.)?)?;
    let pixels = h.flatten_from(2)?.transpose(1, 2)?; // (B, HW, C)
    let scores = pixels.matmul(&w)?.broadcast_add(&(padding * EXCLUDED)?)?; // (B, HW, T)
    // The largest score is a constant: the softmax does not change with it, so neither does its gradient.
    let scores = scores.broadcast_sub(&scores.detach().max_keepdim(2)?)?.exp()?;
    let theta = scores.broadcast_div(&scores.sum_keepdim(2)?)?.transpose(1, 2)?; // (B, T, HW)
    let context = w.contiguous()?.matmul(&theta)?.reshape((b, c, height, width))?;
    Ok((context, theta.reshape((b, t, height, width))?))
}
