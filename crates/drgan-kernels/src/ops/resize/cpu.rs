//! Bilinear resizing map by map.
use super::between::Between;
use crate::cpu::rows::affine::{add_row, blend_row};
use crate::cpu::scratch::with_scratch;
use crate::cpu::shared_slice::fill_uninit;
use crate::op::{Gradient, Op, Pass};
use candle_core::Shape;
use rayon::prelude::*;

/// Bilinear resizing. Two rows are blended into one, whole, and the pixels of the output are blended from it.
pub(super) struct Bilinear {
    /// Images and channels, and the sides of a map.
    pub(super) dims: (usize, usize, usize, usize),
    pub(super) rows: Vec<Between>,
    pub(super) cols: Vec<Between>,
}

impl Bilinear {
    fn resize(&self, x: &[f32], w: usize, y: &mut [f32]) {
        with_scratch(w, |row| {
            for (at, y) in self.rows.iter().zip(y.chunks_exact_mut(self.cols.len())) {
                let (lo, hi) = (&x[at.lo * w..][..w], &x[at.hi * w..][..w]);
                blend_row(lo, at.w_lo as f32, hi, at.w_hi as f32, row);
                for (y, at) in y.iter_mut().zip(&self.cols) {
                    *y = row[at.lo] * at.w_lo as f32 + row[at.hi] * at.w_hi as f32;
                }
            }
        });
    }

    fn gradient(&self, dy: &[f32], w: usize, dx: &mut [f32]) {
        dx.fill(0.);
        with_scratch(w, |row| {
            for (at, dy) in self.rows.iter().zip(dy.chunks_exact(self.cols.len())) {
                row.fill(0.);
                for (dy, at) in dy.iter().zip(&self.cols) {
                    row[at.lo] += dy * at.w_lo as f32;
                    row[at.hi] += dy * at.w_hi as f32;
                }
                add_row(row, at.w_lo as f32, &mut dx[at.lo * w..][..w]);
                add_row(row, at.w_hi as f32, &mut dx[at.hi * w..][..w]);
            }
        });
    }
}

impl Op<1> for Bilinear {
    const NAME: &'static str = "resize_bilinear";
    type Saved = ();

    fn output(&self) -> Shape {
        (self.dims.0, self.dims.1, self.rows.len(), self.cols.len()).into()
    }

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        let ((b, c, h, w), out) = (self.dims, self.rows.len() * self.cols.len());
        let maps = x.par_chunks_exact(h * w).enumerate();
        // SAFETY: each map is its task's own, and every pixel is assigned.
        let y = unsafe {
            fill_uninit(b * c * out, |y| maps.for_each(|(i, x)| self.resize(x, w, y.slice_mut(i * out, out))))
        };
        (y, ())
    }

    fn backward(&self, pass: Pass<'_, 1, ()>) -> [Gradient; 1] {
        let ((b, c, h, w), dy) = (self.dims, pass.gradient);
        let (inp, out) = (h * w, self.rows.len() * self.cols.len());
        let maps = dy.par_chunks_exact(out).enumerate();
        // SAFETY: each map is its task's own, and is filled before it is read.
        let dx = unsafe {
            fill_uninit(b * c * inp, |dx| {
                maps.for_each(|(i, dy)| self.gradient(dy, w, dx.slice_mut(i * inp, inp)));
            })
        };
        [Gradient::Values(dx)]
    }
}
