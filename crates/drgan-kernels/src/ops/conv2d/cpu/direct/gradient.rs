//! From an output's gradient to the input's.
use super::phases::{Groups, Phases, SLACK, Source, correlate, panels, phase_taps};
use crate::cpu::scratch::Scratch;
use crate::cpu::shared_slice::{SharedSlice, fill_uninit};
use crate::cpu::simd::{Isa, Kernel, Simd, Tap, dispatch};
use crate::cpu::slices::copy_row;
use crate::ops::conv2d::shape::ConvShape;
use crate::ops::conv2d::shape::Panel;
use rayon::prelude::*;

/// Gradient of the input: of each phase, the correlation of `dy` with the phase's taps, flipped (rotated by 180 degrees).
///
/// A phase's copy of `dy` has zeros above and on the left, and none below and on the right where the next row's or the next
/// image's serve.
pub(crate) fn input_gradient(isa: Isa, g: &ConvShape, groups: usize, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let (rows, cols) = (phase_side(g, g.padding.top, g.h), phase_side(g, g.padding.left, g.w));
    // SAFETY: panels cover all rows of all phases, which are all pixels.
    unsafe {
        fill_uninit(g.b * g.c * g.h * g.w, |out| {
            let panels = panels(g.b, rows, g.ow + phase_taps(g).1 - 1, g.o / groups);
            let cuts = Groups::cut(groups);
            (0..cuts.len() * panels.len()).into_par_iter().with_max_len(1).for_each(|task| {
                let (groups, panel) = (cuts[task / panels.len()], panels[task % panels.len()]);
                dispatch(isa, Backward { g, groups, dy, weight, cols, panel, out });
            });
        })
    }
}

/// Rows or columns of a phase that the map reaches, those of the padding before it included.
fn phase_side(g: &ConvShape, padding: usize, side: usize) -> usize {
    (padding + side).div_ceil(g.stride)
}

struct Backward<'a> {
    g: &'a ConvShape,
    groups: Groups,
    dy: &'a [f32],
    weight: &'a [f32],
    /// Columns of a phase.
    cols: usize,
    panel: Panel,
    out: SharedSlice,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { g, panel, groups, .. } = self;
        let (s, taps) = (g.stride, phase_taps(g));
        let whole = panel.images > 1;
        let planes = Phases {
            stride: 1,
            images: panel.images,
            rows: if whole { panel.rows.max(g.oh + taps.0 - 1) } else { panel.rows + taps.0 - 1 },
            cols: self.cols.max(g.ow + taps.1 - 1),
        };
        let source =
            Source { values: self.dy, channels: g.o, h: g.oh, w: g.ow, top: taps.0 - 1, left: taps.1 - 1 };
        let (inputs, outputs) = (g.c / groups.of, g.o / groups.of);
        let kernel = g.kh * g.kw;
        let of_phase = |phase: usize| -> Vec<Tap> {
            let here = (0..outputs * kernel).filter_map(|t| {
                let (o, u, v) = (t / kernel, t % kernel / g.kw, t % g.kw);
                let shift = (taps.0 - 1 - u / s) * planes.cols + taps.1 - 1 - v / s;
                (u % s * s + v % s == phase)
                    .then_some(Tap { x: o * planes.channel() + shift, w: o * inputs * kernel + t % kernel })
            });
            here.collect()
        };
        let phases: Vec<Vec<Tap>> = (0..s * s).map(of_phase).collect();
        let n = (planes.images - 1) * planes.image_len() + (panel.rows - 1) * planes.cols + self.cols;
        let row = n + SLACK;
        let after = SLACK + (taps.0 - 1) * planes.cols + taps.1;
        let mut copied = Scratch::new(outputs * planes.channel() + after);
        let mut made = Scratch::new(inputs * row);
        copied.fill(0.);
        for group in groups.first..groups.first + groups.count {
            for o in 0..outputs {
                let out = &mut copied[o * planes.channel()..][..planes.channel()];
                planes.fill(&source, (panel.image, panel.row), group * outputs + o, out);
            }
            let weight = &self.weight[group * outputs * inputs * kernel..];
            for (phase, taps) in phases.iter().enumerate() {
                // SAFETY: the machine has `S`, as promised.
                unsafe { correlate::<S>(&copied, taps, (weight, kernel, inputs), n, &mut made, row) };
                self.put(&planes, (phase / s, phase % s), group * inputs, &made, row);
            }
        }
    }
}

impl Backward<'_> {
    /// Writes the pixels of a phase of a group's inputs, the first of which is input `channel`.
    #[inline(always)]
    fn put(&self, planes: &Phases, (a, b): (usize, usize), channel: usize, made: &[f32], row: usize) {
        let Self { g, panel, .. } = self;
        let (s, top, left) = (g.stride, g.padding.top, g.padding.left);
        // Of the phase's columns: the first inside the map, and its pixel.
        let first = left.saturating_sub(b).div_ceil(s);
        let pixel = first * s + b - left;
        let inputs = g.c / self.groups.of;
        for i in 0..panel.images * inputs {
            let (image, c) = (i / inputs, i % inputs);
            for y in 0..panel.rows {
                let Some(iy) = ((panel.row + y) * s + a).checked_sub(top).filter(|iy| *iy < g.h) else {
                    continue;
                };
                if pixel >= g.w {
                    continue;
                }
                let from = &made[c * row + image * planes.image_len() + y * planes.cols + first..];
                // SAFETY: of every row of an image, a panel has its own, and the phases come one after another.
                let dst = unsafe {
                    self.out.slice_mut(
                        (((panel.image + image) * g.c + channel + c) * g.h + iy) * g.w + pixel,
                        g.w - pixel,
                    )
                };
                if s == 1 {
                    copy_row(from, 1, dst);
                } else {
                    dst.iter_mut().step_by(s).zip(from).for_each(|(d, v)| *d = *v);
                }
            }
        }
    }
}
