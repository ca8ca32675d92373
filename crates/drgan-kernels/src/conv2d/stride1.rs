//! Whole convolutions of stride 1 by [`direct`](super::direct): copies in, terms, copies out.
use super::direct::{LANES, Packed, TILE, correlate, products};
use super::im2col::Geometry;
use crate::cpu::{Disjoint, with_scratch};
use rayon::prelude::*;

/// Values of padded input that one task keeps at hand, about: what a core's second cache holds beside the weights.
const BAND: usize = 1 << 16;
/// What reads of rounded-up rows may touch behind the last plane.
pub(super) const SLACK: usize = 2 * TILE;

/// Output rows a task takes.
pub(super) fn band_rows(channels: usize, wp: usize, kernel_rows: usize, rows: usize) -> usize {
    (BAND / (channels * wp).max(1)).saturating_sub(kernel_rows - 1).clamp(1, rows)
}

/// Copies rows `from..from + rows` of a plane padded by `(top, left)` zeros into rows of length `wp`; `from` counts
/// padding rows.
pub(super) fn pad(
    plane: &[f32],
    (h, w): (usize, usize),
    (top, left): (usize, usize),
    from: usize,
    wp: usize,
    out: &mut [f32],
) {
    for (i, row) in out.chunks_exact_mut(wp).enumerate() {
        let y = from + i;
        if y < top || y >= top + h {
            row.fill(0.);
            continue;
        }
        row[..left].fill(0.);
        row[left..left + w].copy_from_slice(&plane[(y - top) * w..][..w]);
        row[left + w..].fill(0.);
    }
}

/// `y = conv(x, weight) + bias`; see [`im2col::forward`](super::im2col::forward).
pub(super) fn forward(g: &Geometry, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let taps = g.kh * g.kw;
    let packed = Packed::new(g.o, g.c * taps, |o, t| weight[o * g.c * taps + t]);
    let wp = g.w + g.padding.left + g.padding.right;
    let rows = band_rows(g.c, wp, g.kh, g.oh);
    let mut y = vec![0f32; g.b * g.o * g.oh * g.ow];
    let out = Disjoint::new(&mut y);
    let bands = g.oh.div_ceil(rows);
    (0..g.b * bands).into_par_iter().with_max_len(1).for_each(|task| {
        let (image, first) = (task / bands, task % bands * rows);
        let rows = rows.min(g.oh - first);
        let plane = (rows + g.kh - 1) * wp;
        let n = (rows * wp).next_multiple_of(TILE);
        let offset = |t: usize| t / taps * plane + t % taps / g.kw * wp + t % g.kw;
        let offsets: Vec<usize> = (0..g.c * taps).map(offset).collect();
        with_scratch(g.c * plane + SLACK, |padded| {
            for c in 0..g.c {
                let source = &x[(image * g.c + c) * g.h * g.w..][..g.h * g.w];
                let at = (g.padding.top, g.padding.left);
                pad(source, (g.h, g.w), at, first, wp, &mut padded[c * plane..][..plane]);
            }
            with_scratch(g.o * n, |made| {
                correlate(padded, &offsets, &packed, rows * wp, made, n);
                for (o, made) in made.chunks_exact(n).enumerate() {
                    let add = bias.map_or(0., |b| b[o]);
                    // SAFETY: every task has its own rows of its own picture.
                    let dst = unsafe { out.part(((image * g.o + o) * g.oh + first) * g.ow, rows * g.ow) };
                    for (dst, row) in dst.chunks_exact_mut(g.ow).zip(made.chunks(wp)) {
                        dst.iter_mut().zip(row).for_each(|(d, s)| *d = s + add);
                    }
                }
            });
        });
    });
    y
}

/// All planes of `x` `(planes, h, w)`, padded, one behind the other.
pub(super) fn pad_all(
    x: &[f32],
    (h, w): (usize, usize),
    at: (usize, usize),
    (hp, wp): (usize, usize),
) -> Vec<f32> {
    let planes = x.len() / (h * w).max(1);
    let mut out = vec![0f32; planes * hp * wp + SLACK];
    out[..planes * hp * wp].par_chunks_exact_mut(hp * wp).enumerate().with_min_len(4).for_each(|(i, out)| {
        pad(&x[i * h * w..][..h * w], (h, w), at, 0, wp, out);
    });
    out
}

/// Gradient of the weight for kernels of nine taps; see [`im2col::weight_gradient`](super::im2col::weight_gradient).
pub(super) fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    const BLOCK: usize = 3;
    const TAPS: usize = 9;
    let (hp, wp) = (g.h + g.padding.top + g.padding.bottom, g.w + g.padding.left + g.padding.right);
    let padded = pad_all(x, (g.h, g.w), (g.padding.top, g.padding.left), (hp, wp));
    // Zeros in the columns between `ow` and `wp`, and behind the last row up to whole registers.
    let n = (g.oh * wp).next_multiple_of(LANES);
    let rows = n.div_ceil(wp);
    let dy = pad_all(dy, (g.oh, g.ow), (0, 0), (rows, wp));
    let offsets: [usize; TAPS] = std::array::from_fn(|t| t / g.kw * wp + t % g.kw);
    let mut dw = vec![0f32; g.o * g.c * TAPS];
    dw.par_chunks_mut(BLOCK * g.c * TAPS).enumerate().with_max_len(1).for_each(|(block, dw)| {
        let outputs = dw.len() / (g.c * TAPS);
        let dy_row = |b: usize, i: usize| (b * g.o + block * BLOCK + i.min(outputs - 1)) * rows * wp;
        for c in 0..g.c {
            let x_row = |b: usize| (b * g.c + c) * hp * wp;
            let sums = products::<BLOCK, TAPS>(g.b, n, (&dy, &dy_row), (&padded, &x_row), &offsets);
            for (i, sums) in sums.iter().enumerate().take(outputs) {
                dw[(i * g.c + c) * TAPS..][..TAPS].copy_from_slice(sums);
            }
        }
    });
    dw
}
