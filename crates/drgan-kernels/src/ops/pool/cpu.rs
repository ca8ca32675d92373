//! Pooling map by map: whole rows first, then along the row.
use super::window::Window;
use crate::cpu::rows::affine::{add_row, max_row};
use crate::cpu::scratch::with_scratch;
use crate::cpu::shared_slice::{SharedSlice, fill_uninit};
use crate::op::{Gradient, Op, Pass};
use candle_core::Shape;
use rayon::prelude::*;

impl Window {
    /// Runs `f(input map, output map)` for every map, and gives all outputs.
    ///
    /// # Safety
    /// `f` writes all of its output map, and reads nothing of it before.
    unsafe fn each(
        &self,
        input: (&[f32], usize),
        output: usize,
        f: impl Fn(&[f32], &mut [f32]) + Sync,
    ) -> Vec<f32> {
        let maps = self.maps.0 * self.maps.1;
        let one = |out: &SharedSlice, i: usize| {
            // SAFETY: each map is its task's own.
            f(&input.0[i * input.1..][..input.1], unsafe { out.slice_mut(i * output, output) });
        };
        // SAFETY: every map is written, by the caller's promise.
        unsafe {
            fill_uninit(maps * output, |out| {
                (0..maps).into_par_iter().with_min_len(4).for_each(|i| one(&out, i));
            })
        }
    }
}

/// Max pooling.
pub(super) struct Max(pub(super) Window);

impl Max {
    /// Maxima down the columns of a window first, whole rows at a time, then along the row.
    fn maxima(&self, x: &[f32], y: &mut [f32]) {
        let Window { side: (_, w), out: (_, ow), kernel, stride, .. } = self.0;
        with_scratch(w, |column| {
            for (oy, y) in y.chunks_exact_mut(ow).enumerate() {
                let mut rows = x.chunks_exact(w).skip(oy * stride).take(kernel);
                column.copy_from_slice(rows.next().unwrap_or_default());
                rows.for_each(|row| max_row(row, column));
                for (ox, y) in y.iter_mut().enumerate() {
                    let taps = &column[ox * stride..][..kernel];
                    *y = taps[1..].iter().fold(taps[0], |m, v| if *v > m || v.is_nan() { *v } else { m });
                }
            }
        });
    }

    fn gradient(&self, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let Window { side: (_, w), out: (_, ow), kernel, stride, .. } = self.0;
        dx.fill(0.);
        for (o, dy) in dy.iter().enumerate() {
            let corner = o / ow * stride * w + o % ow * stride;
            let (mut best, mut at) = (x[corner], corner);
            for row in 0..kernel {
                let start = corner + row * w;
                for (i, v) in x[start..][..kernel].iter().enumerate() {
                    if *v > best || v.is_nan() {
                        (best, at) = (*v, start + i);
                    }
                }
            }
            dx[at] += dy;
        }
    }
}

impl Op<1> for Max {
    const NAME: &'static str = "max_pool2d";
    type Saved = ();

    fn output(&self) -> Shape {
        self.0.output()
    }

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        let (inp, out) = self.0.pixels();
        // SAFETY: every output is assigned.
        (unsafe { self.0.each((x, inp), out, |x, y| self.maxima(x, y)) }, ())
    }

    fn backward(&self, pass: Pass<'_, 1, ()>) -> [Gradient; 1] {
        let ([x], dy, (inp, out)) = (pass.inputs, pass.gradient, self.0.pixels());
        let maps = x.par_chunks_exact(inp).zip(dy.par_chunks_exact(out)).enumerate().with_min_len(4);
        // SAFETY: each map is its task's own, and is filled before it is read.
        let dx = unsafe {
            fill_uninit(x.len(), |dx| {
                maps.for_each(|(i, (x, dy))| self.gradient(x, dy, dx.slice_mut(i * inp, inp)));
            })
        };
        [Gradient::Values(dx)]
    }
}

/// Average pooling.
pub(super) struct Average(pub(super) Window);

impl Average {
    fn share(&self) -> f32 {
        1. / (self.0.kernel * self.0.kernel) as f32
    }

    /// Rows of the map that output row `oy` looks at.
    fn rows(&self, oy: usize) -> std::ops::Range<usize> {
        let Window { side: (h, _), kernel, stride, padding, .. } = self.0;
        let from = oy * stride;
        from.saturating_sub(padding)..(from + kernel).saturating_sub(padding).min(h)
    }

    fn means(&self, x: &[f32], y: &mut [f32]) {
        let Window { side: (_, w), out: (_, ow), kernel, stride, padding, .. } = self.0;
        with_scratch(w + 2 * padding, |sums| {
            for (oy, y) in y.chunks_exact_mut(ow).enumerate() {
                sums.fill(0.);
                for row in self.rows(oy) {
                    add_row(&x[row * w..][..w], 1., &mut sums[padding..][..w]);
                }
                for (ox, y) in y.iter_mut().enumerate() {
                    *y = sums[ox * stride..][..kernel].iter().sum::<f32>() * self.share();
                }
            }
        });
    }

    fn gradient(&self, dy: &[f32], dx: &mut [f32]) {
        let Window { side: (_, w), out: (_, ow), kernel, stride, padding, .. } = self.0;
        dx.fill(0.);
        with_scratch(w + 2 * padding, |spread| {
            for (oy, dy) in dy.chunks_exact(ow).enumerate() {
                spread.fill(0.);
                for (ox, dy) in dy.iter().enumerate() {
                    spread[ox * stride..][..kernel].iter_mut().for_each(|s| *s += dy);
                }
                for row in self.rows(oy) {
                    add_row(&spread[padding..][..w], self.share(), &mut dx[row * w..][..w]);
                }
            }
        });
    }
}

impl Op<1> for Average {
    const NAME: &'static str = "avg_pool2d";
    type Saved = ();

    fn output(&self) -> Shape {
        self.0.output()
    }

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        let (inp, out) = self.0.pixels();
        // SAFETY: every output is assigned.
        (unsafe { self.0.each((x, inp), out, |x, y| self.means(x, y)) }, ())
    }

    fn backward(&self, pass: Pass<'_, 1, ()>) -> [Gradient; 1] {
        let (dy, (inp, out)) = (pass.gradient, self.0.pixels());
        // SAFETY: a map is filled before it is read.
        [Gradient::Values(unsafe { self.0.each((dy, out), inp, |dy, dx| self.gradient(dy, dx)) })]
    }
}
