//! From maps to maps.
use super::super::epilogue::Epilogue;
use super::super::im2col::Geometry;
use super::{Panel, Planes, SLACK, Source, correlate, panels, phase_taps};
use crate::activation::Activation;
use crate::cpu::{Disjoint, Scratch, written};
use crate::simd::{Isa, Kernel, Simd, Term, dispatch};
use rayon::prelude::*;

/// See [`im2col::forward`](super::super::im2col::forward).
pub(crate) fn forward(
    isa: Isa,
    g: &Geometry,
    x: &[f32],
    weight: &[f32],
    epilogue: &Epilogue<'_>,
) -> Vec<f32> {
    let cols = g.ow + phase_taps(g).1 - 1;
    let channels = epilogue.act.channels_out(g.o);
    // SAFETY: panels cover every pixel of every picture, and `finish` writes before it reads.
    unsafe {
        written(g.b * channels * g.oh * g.ow, |out| {
            let panels = panels(g.b, g.oh, cols, g.c * g.stride * g.stride);
            panels.into_par_iter().with_max_len(1).for_each(|panel| {
                dispatch(isa, Forward { g, x, weight, epilogue, panel, out });
            });
        })
    }
}

struct Forward<'a> {
    g: &'a Geometry,
    x: &'a [f32],
    weight: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    panel: Panel,
    out: Disjoint,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { g, panel, epilogue, .. } = self;
        let (s, taps) = (g.stride, phase_taps(g));
        let planes = Planes {
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
        // Guards, not closures: a closure's body would not be compiled for `S`'s instructions.
        let mut copied = Scratch::new(g.c * planes.channel() + SLACK);
        for c in 0..g.c {
            let out = &mut copied[c * planes.channel()..][..planes.channel()];
            planes.fill(&source, (panel.image, panel.row), c, out);
        }
        let kernel = g.kh * g.kw;
        let terms: Vec<Term> = (0..g.c * kernel)
            .map(|t| {
                let (c, u, v) = (t / kernel, t % kernel / g.kw, t % g.kw);
                let phase = c * planes.channel() + (u % s * s + v % s) * planes.phase();
                Term { x: phase + u / s * planes.cols + v / s, w: t }
            })
            .collect();
        // Behind the last output of the last picture there is nothing to compute.
        let n = (planes.images - 1) * planes.picture() + (panel.rows - 1) * planes.cols + g.ow;
        let row = n + SLACK;
        let mut made = Scratch::new(g.o * row);
        // SAFETY: the machine has `S`, as promised.
        unsafe { correlate::<S>(&copied, &terms, (self.weight, terms.len(), g.o), n, &mut made, row) };

        let channels = epilogue.act.channels_out(g.o);
        let gated = epilogue.act == Activation::Glu;
        for i in 0..panel.images * channels {
            let (image, o) = (i / channels, i % channels);
            for y in 0..panel.rows {
                let at = (((panel.image + image) * channels + o) * g.oh + panel.row + y) * g.ow;
                let sums =
                    |o: usize| (o, &made[o * row + image * planes.picture() + y * planes.cols..][..g.ow]);
                // SAFETY: every panel has its own rows of its own pictures.
                let dst = unsafe { self.out.part(at, g.ow) };
                epilogue.finish(sums(o), sums(if gated { o + channels } else { o }), at, dst);
            }
        }
    }
}
