//! im2col + GEMM, panel by panel of output pixels.
//!
//! A [`Panel`] is some rows of one image, or several whole images where maps are small, so that the product has about
//! [`PIXELS`] columns. Its part of the im2col matrix `(C kh kw, pixels)` is built in a scratch buffer that the thread keeps;
//! panels are independent, and are what threads share. How work is divided depends on shapes only, never on the number of
//! threads: the same input gives the same bits on any machine with the same gemm.
use crate::cpu::gemm::{Matrix, gemm};
use crate::cpu::scratch::{Scratch, with_scratch};
use crate::cpu::shared_slice::{SharedSlice, fill_uninit};
use crate::cpu::slices::copy_row;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::cpu::epilogue::{Epilogue, finish_in_place, finish_row};
use crate::ops::conv2d::shape::{ConvShape, Padding, Panel, ValidRange};
use rayon::prelude::*;

/// Output pixels per panel, about: enough for the product to be efficient, few enough for its matrix to stay in cache.
const PIXELS: usize = 512;
/// Accumulators of the weight gradient, at most, and the memory they may take together, in values.
const ACCUMULATORS: usize = 8;
const ACCUMULATOR_VALUES: usize = 1 << 24;

impl ConvShape {
    fn panels(&self) -> Vec<Panel> {
        let pixels = self.output();
        if pixels >= PIXELS / 2 {
            return Panel::bands(self.b, self.oh, (PIXELS / self.ow).clamp(1, self.oh));
        }
        Panel::groups(self.b, self.oh, PIXELS / pixels.max(1))
    }

    /// The im2col matrix of a panel, `(C kh kw, images rows ow)`.
    fn fill(&self, x: &[f32], p: Panel, cols: &mut [f32]) {
        let n = p.images * p.rows * self.ow;
        for (r, dst) in cols.chunks_exact_mut(n).enumerate() {
            let (c, u, v) = (r / (self.kh * self.kw), r / self.kw % self.kh, r % self.kw);
            let across = ValidRange::new((v, self.padding.left), self.stride, self.w, self.ow);
            for (g, dst) in dst.chunks_exact_mut(p.rows * self.ow).enumerate() {
                let plane = &x[(p.image + g) * self.input() + c * self.h * self.w..][..self.h * self.w];
                for (y, dst) in dst.chunks_exact_mut(self.ow).enumerate() {
                    match ((p.row + y) * self.stride + u).checked_sub(self.padding.top) {
                        Some(y) if y < self.h && across.count > 0 => {
                            let (before, rest) = dst.split_at_mut(across.at);
                            let (inside, after) = rest.split_at_mut(across.count);
                            before.fill(0.);
                            after.fill(0.);
                            copy_row(&plane[y * self.w + across.from..], self.stride, inside);
                        }
                        _ => dst.fill(0.),
                    }
                }
            }
        }
    }
}

/// `conv(x, weight)` with its epilogue; `weight` `(O, C kh kw)`.
pub(crate) fn forward(g: &ConvShape, x: &[f32], weight: &[f32], epilogue: &Epilogue<'_>) -> Vec<f32> {
    product(g, x, Matrix::rows(weight, g.patch()), epilogue)
}

/// The same with the weight as a matrix that may lie in memory in any order.
fn product(g: &ConvShape, x: &[f32], weight: Matrix<'_>, epilogue: &Epilogue<'_>) -> Vec<f32> {
    let (pixels, patch) = (g.output(), g.patch());
    let gated = epilogue.act == Activation::Glu;
    let channels = epilogue.act.channels_out(g.o);
    let each = |out: SharedSlice| {
        g.panels().into_par_iter().with_max_len(1).for_each(|p| {
            let n = p.images * p.rows * g.ow;
            let size = (g.o, n, patch);
            let start = |image: usize| (p.image + image) * channels * pixels + p.row * g.ow;
            let mut cols = Scratch::new(if p.images == 1 && g.is_pointwise() { 0 } else { patch * n });
            let patches = if cols.is_empty() {
                Matrix::rows(&x[p.image * g.input() + p.row * g.ow..], pixels)
            } else {
                g.fill(x, p, &mut cols);
                Matrix::rows(&cols, n)
            };
            // SAFETY (all of `out`): panels cover disjoint pixels of the result; of each channel's row, `n` values are this
            // panel's, or of several images, all of them.
            if p.images == 1 && !gated {
                unsafe { out.gemm(size, weight, patches, start(0), pixels) };
                if !epilogue.is_identity() {
                    for o in 0..channels {
                        let at = start(0) + o * pixels;
                        finish_in_place(epilogue, o, at, unsafe { out.slice_mut(at, n) });
                    }
                }
                return;
            }
            let mut sums = Scratch::new(g.o * n);
            gemm(size, weight, patches, &mut sums, n, false);
            let run = n / p.images;
            for (image, o) in (0..p.images).flat_map(|image| (0..channels).map(move |o| (image, o))) {
                let (at, gate) = (start(image) + o * pixels, if gated { o + channels } else { o });
                let row = |o: usize| (o, &sums[o * n + image * run..][..run]);
                finish_row(epilogue, row(o), row(gate), at, unsafe { out.slice_mut(at, run) });
            }
        });
    };
    // SAFETY: the panels cover the result, products and rows are written before they are read.
    unsafe { fill_uninit(g.b * channels * pixels, each) }
}

/// Gradient of the input of a 1x1 convolution: the transposed weight's.
pub(crate) fn pointwise_gradient(g: &ConvShape, dy: &[f32], weight: &[f32]) -> Option<Vec<f32>> {
    let back = ConvShape { c: g.o, o: g.c, ..*g };
    let weight = Matrix::transposed(weight, g.c);
    g.is_pointwise().then(|| product(&back, dy, weight, &Epilogue::bias(None)))
}

impl ConvShape {
    /// The convolution that gives the gradient of the (upsampled) input, with its weight: for stride 1, the gradient of a
    /// correlation is the correlation of the gradient with the kernel flipped (rotated by 180 degrees).
    pub(crate) fn flipped(&self, weight: &[f32]) -> Option<(Self, Vec<f32>)> {
        let (g, p) = (self, self.padding);
        if g.stride != 1 || p.top.max(p.bottom) >= g.kh || p.left.max(p.right) >= g.kw {
            return None;
        }
        let taps = g.kh * g.kw;
        let mut flipped = vec![0f32; weight.len()];
        for (i, w) in weight.chunks_exact(taps).enumerate() {
            let (o, c) = (i / g.c, i % g.c);
            let dst = &mut flipped[(c * g.o + o) * taps..][..taps];
            dst.iter_mut().zip(w.iter().rev()).for_each(|(d, s)| *d = *s);
        }
        let padding = Padding {
            top: g.kh - 1 - p.top,
            bottom: g.kh - 1 - p.bottom,
            left: g.kw - 1 - p.left,
            right: g.kw - 1 - p.right,
        };
        let back =
            Self { c: g.o, o: g.c, h: g.oh, w: g.ow, oh: g.h, ow: g.w, padding, upsample: false, ..*g };
        Some((back, flipped))
    }
}

/// Channels whose gradients one task scatters: more tasks than images, and the same division everywhere.
const CHANNEL_BLOCKS: usize = 4;

/// The input's gradient for any stride (without upsampling): the im2col matrix's gradient by matrix product, then added up where its columns overlap.
pub(crate) fn scatter_gradient(g: &ConvShape, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let (pixels, taps, plane) = (g.output(), g.kh * g.kw, g.h * g.w);
    let mut dx = vec![0f32; g.b * g.c * plane];
    let out = SharedSlice::new(&mut dx);
    let block = g.c.div_ceil(CHANNEL_BLOCKS).max(1);
    let blocks = g.c.div_ceil(block);
    (0..g.b * blocks).into_par_iter().with_max_len(1).for_each(|task| {
        let (image, first) = (task / blocks, task % blocks * block);
        let channels = block.min(g.c - first);
        let rows = channels * taps;
        with_scratch(rows * pixels, |cols| {
            let a = Matrix::transposed(&weight[first * taps..], g.patch());
            let b = Matrix::rows(&dy[image * g.o * pixels..], pixels);
            gemm((rows, pixels, g.o), a, b, cols, pixels, false);
            // SAFETY: every task has its own image and channels.
            let dst = unsafe { out.slice_mut((image * g.c + first) * plane, channels * plane) };
            for (r, col) in cols.chunks_exact(pixels).enumerate() {
                let (c, u, v) = (r / taps, r / g.kw % g.kh, r % g.kw);
                let dst = &mut dst[c * plane..][..plane];
                for (y, col) in col.chunks_exact(g.ow).enumerate() {
                    let iy = y * g.stride + u;
                    if iy < g.padding.top || iy >= g.h + g.padding.top {
                        continue;
                    }
                    let row = &mut dst[(iy - g.padding.top) * g.w..][..g.w];
                    for (x, value) in col.iter().enumerate() {
                        let ix = x * g.stride + v;
                        if ix >= g.padding.left && ix < g.w + g.padding.left {
                            row[ix - g.padding.left] += value;
                        }
                    }
                }
            }
        });
    });
    dx
}

/// Gradient of the weight, `(O, C kh kw)`.
pub(crate) fn weight_gradient(g: &ConvShape, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let (pixels, patch) = (g.output(), g.patch());
    let panels = g.panels();
    let parts = ACCUMULATORS.min(ACCUMULATOR_VALUES / (g.o * patch).max(1)).clamp(2, panels.len().max(2));
    let share = panels.len().div_ceil(parts).max(1);
    let sums: Vec<Vec<f32>> = panels
        .par_chunks(share)
        .with_max_len(1)
        .map(|panels| {
            let mut sum = vec![0f32; g.o * patch];
            for &p in panels {
                let n = p.images * p.rows * g.ow;
                with_scratch(patch * n, |cols| {
                    g.fill(x, p, cols);
                    let b = Matrix::transposed(cols, n);
                    if p.images == 1 {
                        let a = Matrix::rows(&dy[p.image * g.o * pixels + p.row * g.ow..], pixels);
                        gemm((g.o, patch, n), a, b, &mut sum, patch, true);
                        return;
                    }
                    with_scratch(g.o * n, |gathered| {
                        for (o, dst) in gathered.chunks_exact_mut(n).enumerate() {
                            for (image, dst) in dst.chunks_exact_mut(pixels).enumerate() {
                                let from = ((p.image + image) * g.o + o) * pixels;
                                dst.copy_from_slice(&dy[from..from + pixels]);
                            }
                        }
                        gemm((g.o, patch, n), Matrix::rows(gathered, n), b, &mut sum, patch, true);
                    });
                });
            }
            sum
        })
        .collect();
    let mut sums = sums.into_iter();
    let mut total = sums.next().unwrap_or_default();
    for sum in sums {
        total.iter_mut().zip(&sum).for_each(|(t, s)| *t += s);
    }
    total
}
