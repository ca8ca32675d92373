//! From an output's gradient to the weight's: products of its rows with the input's, shifted by every tap.
use super::phases::{Phases, SLACK, Source, phase_taps};
use crate::cpu::shared_slice::SharedSlice;
use crate::cpu::simd::{Dots, Isa, Kernel, Simd, Tap, dispatch};
use crate::ops::conv2d::shape::ConvShape;
use rayon::prelude::*;

/// Output channels of a task: what every register type divides.
const OUTPUTS: usize = 6;
/// Parts that the input's channels are cut into.
const PARTS: usize = 4;
/// Values of rows that stay in the L1 cache while the input's channels go by.
const CHUNK: usize = 6144;
/// Values that every register type divides.
const LANES: usize = 16;

/// Whether every phase has as many taps as registers are laid out for.
pub(crate) fn takes(g: &ConvShape) -> bool {
    matches!((g.kh, g.kw, g.stride), (3, 3, 1) | (4, 4, 2))
}

/// Gradient of the weight, `(O, C kh kw)`, of a convolution that is [taken](takes).
pub(crate) fn weight_gradient(isa: Isa, g: &ConvShape, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let taps = phase_taps(g);
    let planes = Phases { stride: g.stride, images: g.b, rows: g.oh + taps.0 - 1, cols: g.ow + taps.1 - 1 };
    let each = planes.phase().next_multiple_of(LANES);
    // After the last output of the last image there is nothing to sum.
    let n = ((g.b - 1) * planes.image_len() + (g.oh - 1) * planes.cols + g.ow).next_multiple_of(LANES);
    let (h, w) = (g.h, g.w);
    let source = Source { values: x, channels: g.c, h, w, top: g.padding.top, left: g.padding.left };
    let copied = copies(&planes, &source, planes.channel());
    // Zeros in the gaps between rows and images, and after the last.
    let source = Source { values: dy, channels: g.o, h: g.oh, w: g.ow, top: 0, left: 0 };
    let rows = copies(&Phases { stride: 1, ..planes }, &source, each);
    let mut dw = vec![0f32; g.o * g.c * g.kh * g.kw];
    let out = SharedSlice::new(&mut dw);
    let part = g.c.div_ceil(PARTS);
    let parts = g.c.div_ceil(part);
    (0..g.o.div_ceil(OUTPUTS) * parts).into_par_iter().with_max_len(1).for_each(|task| {
        let (output, channel) = (task / parts * OUTPUTS, task % parts * part);
        let outputs = (output, OUTPUTS.min(g.o - output));
        let channels = (channel, part.min(g.c - channel));
        dispatch(isa, Block { g, planes, copied: &copied, rows: &rows, each, n, outputs, channels, out });
    });
    dw
}

/// All channels of all images, `each` values apart, with some after the last.
fn copies(planes: &Phases, source: &Source<'_>, each: usize) -> Vec<f32> {
    let mut out = vec![0f32; source.channels * each + SLACK];
    out[..source.channels * each].par_chunks_exact_mut(each).enumerate().for_each(|(c, out)| {
        planes.fill(source, (0, 0), c, &mut out[..planes.channel()]);
    });
    out
}

struct Block<'a> {
    g: &'a ConvShape,
    planes: Phases,
    copied: &'a [f32],
    rows: &'a [f32],
    /// Distance of neighbouring outputs' rows, in values.
    each: usize,
    /// Positions of a row that products are summed over.
    n: usize,
    /// The first output channel, and the number of channels.
    outputs: (usize, usize),
    channels: (usize, usize),
    out: SharedSlice,
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { g, planes, each, n, outputs, channels, .. } = self;
        let (s, kernel) = (g.stride, g.kh * g.kw);
        let of_phase = |phase: usize| -> Vec<Tap> {
            let taps = (0..kernel).map(|t| (t / g.kw, t % g.kw));
            let here = taps.filter(|(u, v)| u % s * s + v % s == phase);
            here.map(|(u, v)| Tap { x: u / s * planes.cols + v / s, w: u * g.kw + v }).collect()
        };
        let phases: Vec<Vec<Tap>> = (0..s * s).map(of_phase).collect();
        let four = kernel == 16;
        assert!(phases.iter().all(|taps| taps.len() == if four { 4 } else { 9 }), "taps of a phase");
        let furthest = phases.iter().flatten().map(|t| t.x).max().unwrap_or(0);
        assert!(
            g.c * planes.channel() - planes.phase() + furthest + n <= self.copied.len()
                && (g.o - 1) * each + n <= self.rows.len(),
            "products leave their rows"
        );
        let block = if four { S::DOT4_ROWS } else { S::DOT9_ROWS };
        let chunk = (CHUNK / block).next_multiple_of(LANES);
        for p in (0..n).step_by(chunk) {
            for c in channels.0..channels.0 + channels.1 {
                for (phase, taps) in phases.iter().enumerate() {
                    for o in (outputs.0..outputs.0 + outputs.1).step_by(block) {
                        let rows = block.min(outputs.0 + outputs.1 - o);
                        // SAFETY: the machine has `S`, as promised; reads lie in their slices by the assertion, writes in
                        // this task's part of the gradient.
                        unsafe {
                            let products = Dots {
                                n: chunk.min(n - p),
                                a: self.rows.as_ptr().add(o * each + p),
                                a_row: each,
                                x: self
                                    .copied
                                    .as_ptr()
                                    .add(c * planes.channel() + phase * planes.phase() + p),
                                taps,
                                out: self.out.rows((o * g.c + c) * kernel, (rows, g.c * kernel, kernel)),
                                out_row: g.c * kernel,
                                rows,
                            };
                            if four {
                                S::dot4(products)
                            } else {
                                S::dot9(products)
                            };
                        }
                    }
                }
            }
        }
    }
}
