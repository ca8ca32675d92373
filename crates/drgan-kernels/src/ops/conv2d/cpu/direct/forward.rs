//! From maps to maps.
use super::phases::{Groups, Phases, SLACK, Source, correlate, panels, phase_taps};
use crate::cpu::scratch::Scratch;
use crate::cpu::shared_slice::{SharedSlice, fill_uninit};
use crate::cpu::simd::{Isa, Kernel, Simd, Tap, dispatch};
use crate::cpu::slices::copy_row;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::shape::ConvShape;
use crate::ops::conv2d::shape::Panel;
use rayon::prelude::*;

/// See [`im2col::forward`](crate::ops::conv2d::cpu::im2col::forward); in `groups` of channels, `weight` is `(O, C / groups, kh, kw)`.
pub(crate) fn forward(
    isa: Isa,
    g: &ConvShape,
    groups: usize,
    x: &[f32],
    weight: &[f32],
    epilogue: &Epilogue<'_>,
) -> Vec<f32> {
    let cols = g.ow + phase_taps(g).1 - 1;
    let channels = epilogue.act.channels_out(g.o);
    assert!(groups == 1 || channels == g.o, "a gate of another group");
    // SAFETY: panels cover every pixel of every image, and `finish` writes before it reads.
    unsafe {
        fill_uninit(g.b * channels * g.oh * g.ow, |out| {
            let panels = panels(g.b, g.oh, cols, g.c / groups * g.stride * g.stride);
            let cuts = Groups::cut(groups);
            (0..cuts.len() * panels.len()).into_par_iter().with_max_len(1).for_each(|task| {
                let (groups, panel) = (cuts[task / panels.len()], panels[task % panels.len()]);
                dispatch(isa, Forward { g, groups, x, weight, epilogue, panel, out });
            });
        })
    }
}

struct Forward<'a> {
    g: &'a ConvShape,
    groups: Groups,
    x: &'a [f32],
    weight: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    panel: Panel,
    out: SharedSlice,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { g, panel, groups, .. } = self;
        let (s, taps) = (g.stride, phase_taps(g));
        let planes = Phases {
            stride: s,
            images: panel.images,
            rows: panel.rows + taps.0 - 1,
            cols: g.ow + taps.1 - 1,
        };
        let source = Source {
            values: self.x,
            channels: g.c,
            h: g.h,
            w: g.w,
            top: g.padding.top,
            left: g.padding.left,
        };
        let (inputs, outputs) = (g.c / groups.of, g.o / groups.of);
        let kernel = g.kh * g.kw;
        let taps: Vec<Tap> = (0..inputs * kernel)
            .map(|t| {
                let (c, u, v) = (t / kernel, t % kernel / g.kw, t % g.kw);
                let phase = c * planes.channel() + (u % s * s + v % s) * planes.phase();
                Tap { x: phase + u / s * planes.cols + v / s, w: t }
            })
            .collect();
        // After the last output of the last image there is nothing to compute.
        let n = (planes.images - 1) * planes.image_len() + (panel.rows - 1) * planes.cols + g.ow;
        let row = n + SLACK;
        // Guards, not closures: a closure's body would not be compiled for `S`'s instructions.
        let mut copied = Scratch::new(inputs * planes.channel() + SLACK);
        let mut made = Scratch::new(outputs * row);
        copied.fill(0.);
        for group in groups.first..groups.first + groups.count {
            for c in 0..inputs {
                let out = &mut copied[c * planes.channel()..][..planes.channel()];
                planes.fill(&source, (panel.image, panel.row), group * inputs + c, out);
            }
            let weight = &self.weight[group * outputs * taps.len()..];
            // SAFETY: the machine has `S`, as promised.
            unsafe { correlate::<S>(&copied, &taps, (weight, taps.len(), outputs), n, &mut made, row) };
            self.finish(&planes, group * outputs, &mut made, row);
        }
    }
}

impl Forward<'_> {
    /// Writes a group's outputs, the first of which is output `first`.
    #[inline(always)]
    fn finish(&self, planes: &Phases, first: usize, made: &mut [f32], row: usize) {
        let Self { g, panel, epilogue, .. } = self;
        let gated = epilogue.act == Activation::Glu;
        let (all, here) = (epilogue.act.channels_out(g.o), epilogue.act.channels_out(g.o / self.groups.of));
        // Where nothing else is read, all positions at once.
        let at_once = !gated && epilogue.residual.is_none();
        if at_once {
            for (o, made) in made.chunks_exact_mut(row).enumerate().take(here) {
                epilogue.finish_in_place(first + o, 0, made);
            }
        }
        for i in 0..panel.images * here {
            let (image, o) = (i / here, i % here);
            for y in 0..panel.rows {
                let at = (((panel.image + image) * all + first + o) * g.oh + panel.row + y) * g.ow;
                let sums = |o: usize| &made[o * row + image * planes.image_len() + y * planes.cols..][..g.ow];
                // SAFETY: every panel has its own rows of its own images, of its own channels.
                let dst = unsafe { self.out.slice_mut(at, g.ow) };
                if at_once {
                    copy_row(sums(o), 1, dst);
                } else {
                    let gate = if gated { o + here } else { o };
                    epilogue.finish((first + o, sums(o)), (first + gate, sums(gate)), at, dst);
                }
            }
        }
    }
}
