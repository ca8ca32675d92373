//! Nearest-neighbour doubling and a 3x3 convolution as four 2x2 convolutions of the small map, one for each parity of
//! output row and column: 4/9 of the work, and the doubled map never exists.
use super::direct::{LANES, Packed, TILE, correlate, products};
use super::im2col::Geometry;
use super::stride1::{SLACK, band_rows, pad, pad_all};
use crate::cpu::{Disjoint, with_scratch};
use rayon::prelude::*;

const PHASES: usize = 4;
const TAPS: usize = 4;

/// The tap of the small kernel that tap `u` of the large one falls on, for output rows (or columns) of `parity`.
fn small_tap(parity: usize, u: usize) -> usize {
    if parity == 0 { u.min(1) } else { u / 2 }
}

/// `(row parity, column parity)` of a phase; `(row, column)` of a small tap.
fn halves(i: usize) -> (usize, usize) {
    (i / 2, i % 2)
}

/// `(phase, O, C, tap)`: every large tap added to the small one it falls on.
fn small_kernels(weight: &[f32]) -> Vec<f32> {
    let mut out = vec![0f32; PHASES * weight.len() / 9 * TAPS];
    for (phase, out) in out.chunks_exact_mut(weight.len() / 9 * TAPS).enumerate() {
        let (py, px) = halves(phase);
        for (small, large) in out.chunks_exact_mut(TAPS).zip(weight.chunks_exact(9)) {
            for (t, w) in large.iter().enumerate() {
                small[small_tap(py, t / 3) * 2 + small_tap(px, t % 3)] += w;
            }
        }
    }
    out
}

/// Sides of the small map and of its padded form.
fn sides(g: &Geometry) -> (usize, usize, usize, usize) {
    let (h, w) = (g.h / 2, g.w / 2);
    (h, w, h + 2, w + 2)
}

/// See [`im2col::forward`](super::im2col::forward).
pub(super) fn forward(g: &Geometry, x: &[f32], weight: &[f32]) -> Vec<f32> {
    let (h, w, _, wp) = sides(g);
    let small = small_kernels(weight);
    let of_phase = |phase: usize| {
        let kernel = &small[phase * g.o * g.c * TAPS..];
        Packed::new(g.o, g.c * TAPS, |o, t| kernel[o * g.c * TAPS + t])
    };
    let packed: Vec<Packed> = (0..PHASES).map(of_phase).collect();
    let band = band_rows(g.c, wp, 3, h);
    let bands = h.div_ceil(band);
    let mut y = vec![0f32; g.b * g.o * g.oh * g.ow];
    let out = Disjoint::new(&mut y);
    (0..g.b * bands).into_par_iter().with_max_len(1).for_each(|task| {
        let (image, first) = (task / bands, task % bands * band);
        let rows = band.min(h - first);
        let plane = (rows + 2) * wp;
        let n = (rows * wp).next_multiple_of(TILE);
        with_scratch(g.c * plane + SLACK, |padded| {
            for c in 0..g.c {
                let source = &x[(image * g.c + c) * h * w..][..h * w];
                pad(source, (h, w), (1, 1), first, wp, &mut padded[c * plane..][..plane]);
            }
            with_scratch(2 * g.o * n, |made| {
                for py in 0..2 {
                    for (px, made) in made.chunks_exact_mut(g.o * n).enumerate() {
                        let offset = |t: usize| {
                            let (a, b) = halves(t % TAPS);
                            t / TAPS * plane + (py + a) * wp + px + b
                        };
                        let offsets: Vec<usize> = (0..g.c * TAPS).map(offset).collect();
                        correlate(padded, &offsets, &packed[py * 2 + px], rows * wp, made, n);
                    }
                    let (left, right) = made.split_at(g.o * n);
                    for (o, (left, right)) in left.chunks_exact(n).zip(right.chunks_exact(n)).enumerate() {
                        for row in 0..rows {
                            let to = ((image * g.o + o) * g.oh + 2 * (first + row) + py) * g.ow;
                            // SAFETY: every task has its own rows of its own picture.
                            let dst = unsafe { out.part(to, g.ow) };
                            let (l, r) = (&left[row * wp..][..w], &right[row * wp..][..w]);
                            for (dst, (l, r)) in dst.chunks_exact_mut(2).zip(l.iter().zip(r)) {
                                (dst[0], dst[1]) = (*l, *r);
                            }
                        }
                    }
                }
            });
        });
    });
    y
}

/// The four phases of `dy`, each a map of the small size padded by `at`: `(B, phase, O, hp wp)`.
fn split(g: &Geometry, dy: &[f32], at: usize, (hp, wp): (usize, usize)) -> Vec<f32> {
    let planes = g.b * PHASES * g.o;
    let mut out = vec![0f32; planes * hp * wp + SLACK];
    out[..planes * hp * wp].par_chunks_exact_mut(hp * wp).enumerate().with_min_len(4).for_each(|(i, out)| {
        let (o, phase, image) = (i % g.o, i / g.o % PHASES, i / (g.o * PHASES));
        let (py, px) = halves(phase);
        let plane = &dy[(image * g.o + o) * g.oh * g.ow..][..g.oh * g.ow];
        for (row, out) in out.chunks_exact_mut(wp).skip(at).take(g.oh / 2).enumerate() {
            let source = plane[(2 * row + py) * g.ow..][..g.ow].iter().skip(px).step_by(2);
            out[at..].iter_mut().zip(source).for_each(|(d, s)| *d = *s);
        }
    });
    out
}

/// Gradient of the small map, `(B, C, H, W)`.
pub(super) fn input_gradient(g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let (h, w, hp, wp) = sides(g);
    let plane = hp * wp;
    let dy = split(g, dy, 1, (hp, wp));
    let small = small_kernels(weight);
    // Terms: phase, output, tap; each output of the small map reads where its input went.
    let place = |t: usize| (t / (g.o * TAPS), t / TAPS % g.o, t % TAPS);
    let packed = Packed::new(g.c, PHASES * g.o * TAPS, |c, t| {
        let (phase, o, tap) = place(t);
        small[((phase * g.o + o) * g.c + c) * TAPS + tap]
    });
    let offset = |t: usize| {
        let ((phase, o, tap), ((py, px), (a, b))) = (place(t), (halves(t / (g.o * TAPS)), halves(t % TAPS)));
        debug_assert!(tap < TAPS);
        (phase * g.o + o) * plane + (2 - py - a) * wp + 2 - px - b
    };
    let offsets: Vec<usize> = (0..PHASES * g.o * TAPS).map(offset).collect();
    let n = (h * wp).next_multiple_of(TILE);
    let mut dx = vec![0f32; g.b * g.c * h * w];
    dx.par_chunks_exact_mut(g.c * h * w).enumerate().with_max_len(1).for_each(|(image, dx)| {
        let phases = &dy[image * PHASES * g.o * plane..];
        with_scratch(g.c * n, |made| {
            correlate(phases, &offsets, &packed, h * wp, made, n);
            for (dx, made) in dx.chunks_exact_mut(h * w).zip(made.chunks_exact(n)) {
                for (dst, row) in dx.chunks_exact_mut(w).zip(made.chunks(wp)) {
                    dst.copy_from_slice(&row[..w]);
                }
            }
        });
    });
    dx
}

/// Gradient of the weight, `(O, C 9)`.
pub(super) fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    const BLOCK: usize = 6;
    let (h, w, hp, wp) = sides(g);
    let padded = pad_all(x, (h, w), (1, 1), (hp, wp));
    let n = (h * wp).next_multiple_of(LANES);
    let rows = n.div_ceil(wp);
    let dy = split(g, dy, 0, (rows, wp));
    let mut dw = vec![0f32; g.o * g.c * 9];
    dw.par_chunks_mut(BLOCK * g.c * 9).enumerate().with_max_len(1).for_each(|(block, dw)| {
        let outputs = dw.len() / (g.c * 9);
        for c in 0..g.c {
            let x_row = |b: usize| (b * g.c + c) * hp * wp;
            for phase in 0..PHASES {
                let (py, px) = halves(phase);
                let first = block * BLOCK;
                let dy_row = |b: usize, i: usize| {
                    ((b * PHASES + phase) * g.o + first + i.min(outputs - 1)) * rows * wp
                };
                let offsets: [usize; TAPS] = std::array::from_fn(|t| (py + t / 2) * wp + px + t % 2);
                let sums = products::<BLOCK, TAPS>(g.b, n, (&dy, &dy_row), (&padded, &x_row), &offsets);
                for (i, sums) in sums.iter().enumerate().take(outputs) {
                    for (t, d) in dw[(i * g.c + c) * 9..][..9].iter_mut().enumerate() {
                        *d += sums[small_tap(py, t / 3) * 2 + small_tap(px, t % 3)];
                    }
                }
            }
        }
    });
    dw
}
