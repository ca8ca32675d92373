//! From an output's gradient to the input's.
use super::super::im2col::Geometry;
use super::{Panel, Planes, SLACK, Source, correlate, panels, phase_taps};
use crate::cpu::{Disjoint, Scratch, written};
use crate::simd::{Isa, Kernel, Simd, Term, dispatch};
use rayon::prelude::*;

/// Gradient of the input: of each phase, the correlation of `dy` with the phase's taps, turned by half a turn.
pub(crate) fn input_gradient(isa: Isa, g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let (rows, cols) = (phase_side(g, g.padding.top, g.h), phase_side(g, g.padding.left, g.w));
    // SAFETY: panels cover all rows of all phases, which are all pixels.
    unsafe {
        written(g.b * g.c * g.h * g.w, |out| {
            let panels = panels(g.b, rows, cols + phase_taps(g).1 - 1, g.o);
            panels.into_par_iter().with_max_len(1).for_each(|panel| {
                dispatch(isa, Backward { g, dy, weight, cols, panel, out });
            });
        })
    }
}

/// Rows or columns of a phase that the map reaches, those of the padding before it included.
fn phase_side(g: &Geometry, padding: usize, side: usize) -> usize {
    (padding + side).div_ceil(g.stride)
}

struct Backward<'a> {
    g: &'a Geometry,
    dy: &'a [f32],
    weight: &'a [f32],
    /// Of a phase.
    cols: usize,
    panel: Panel,
    out: Disjoint,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { g, panel, .. } = self;
        let (s, taps) = (g.stride, phase_taps(g));
        let planes = Planes {
            stride: 1,
            images: panel.images,
            rows: panel.rows + taps.0 - 1,
            cols: self.cols + taps.1 - 1,
        };
        let source =
            Source { values: self.dy, channels: g.o, h: g.oh, w: g.ow, top: taps.0 - 1, left: taps.1 - 1 };
        let mut copied = Scratch::new(g.o * planes.channel() + SLACK);
        for o in 0..g.o {
            let out = &mut copied[o * planes.channel()..][..planes.channel()];
            planes.fill(&source, (panel.image, panel.row), o, out);
        }
        let n = (planes.images - 1) * planes.picture() + (panel.rows - 1) * planes.cols + self.cols;
        let row = n + SLACK;
        let mut made = Scratch::new(g.c * row);
        let kernel = g.kh * g.kw;
        for (a, b) in (0..s * s).map(|phase| (phase / s, phase % s)) {
            let taps_here = (0..g.o * kernel).filter_map(|t| {
                let (o, u, v) = (t / kernel, t % kernel / g.kw, t % g.kw);
                let shift = (taps.0 - 1 - u / s) * planes.cols + taps.1 - 1 - v / s;
                (u % s == a && v % s == b)
                    .then_some(Term { x: o * planes.channel() + shift, w: o * g.c * kernel + t % kernel })
            });
            let terms: Vec<Term> = taps_here.collect();
            // SAFETY: the machine has `S`, as promised.
            unsafe { correlate::<S>(&copied, &terms, (self.weight, kernel, g.c), n, &mut made, row) };
            self.put(&planes, (a, b), &made, row);
        }
    }
}

impl Backward<'_> {
    /// Writes the pixels of a phase.
    #[inline(always)]
    fn put(&self, planes: &Planes, (a, b): (usize, usize), made: &[f32], row: usize) {
        let Self { g, panel, .. } = self;
        let (s, top, left) = (g.stride, g.padding.top, g.padding.left);
        // Of the phase's columns: the first inside the map, and its pixel.
        let first = left.saturating_sub(b).div_ceil(s);
        let pixel = first * s + b - left;
        for i in 0..panel.images * g.c {
            let (image, c) = (i / g.c, i % g.c);
            for y in 0..panel.rows {
                let Some(iy) = ((panel.row + y) * s + a).checked_sub(top).filter(|iy| *iy < g.h) else {
                    continue;
                };
                if pixel >= g.w {
                    continue;
                }
                let from = &made[c * row + image * planes.picture() + y * planes.cols + first..];
                // SAFETY: of every row of a picture, a panel has its own, and the phases come one after another.
                let dst = unsafe {
                    self.out.part((((panel.image + image) * g.c + c) * g.h + iy) * g.w + pixel, g.w - pixel)
                };
                if s == 1 {
                    dst.copy_from_slice(&from[..dst.len()]);
                } else {
                    dst.iter_mut().step_by(s).zip(from).for_each(|(d, v)| *d = *v);
                }
            }
        }
    }
}
