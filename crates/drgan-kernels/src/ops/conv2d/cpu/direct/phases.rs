//! Copies of maps by phases, their division into tasks, and the sum of shifted rows over them.
use crate::cpu::simd::{Simd, Tap, TapLoop};
use crate::cpu::slices::copy_row;
use crate::ops::conv2d::shape::{ConvShape, Panel, ValidRange};

/// Values of copied input that one task keeps resident in cache, about: what a core's L2 cache holds beside the weights.
const BAND: usize = 1 << 16;
/// Positions of several small images that are convolved as one row.
const POSITIONS: usize = 512;
/// Registers of positions where there is one row of outputs.
const ALONE: usize = 4;
/// What reads of rounded-up rows may touch after the last plane.
pub(super) const SLACK: usize = 64;

/// Divides `b` images of `rows` rows of results; each row takes `cols` positions of `values` copied values.
pub(super) fn panels(b: usize, rows: usize, cols: usize, values: usize) -> Vec<Panel> {
    let positions = rows * cols;
    if positions >= POSITIONS / 2 {
        return Panel::bands(b, rows, (BAND / (cols * values).max(1)).clamp(1, rows));
    }
    Panel::groups(b, rows, POSITIONS / positions.max(1))
}

/// Channel groups that a task takes one after another, so that small ones are worth a task.
const GROUPS: usize = 32;

/// Some of the groups that a convolution's channels are cut into; a group of outputs sees its group of inputs only.
#[derive(Clone, Copy)]
pub(super) struct Groups {
    /// Number of groups of the whole convolution.
    pub(super) of: usize,
    pub(super) first: usize,
    pub(super) count: usize,
}

impl Groups {
    pub(super) fn cut(of: usize) -> Vec<Self> {
        (0..of).step_by(GROUPS).map(|first| Self { of, first, count: GROUPS.min(of - first) }).collect()
    }
}

/// Taps of a kernel that one phase has, in both directions, at most.
pub(super) fn phase_taps(g: &ConvShape) -> (usize, usize) {
    (g.kh.div_ceil(g.stride), g.kw.div_ceil(g.stride))
}

/// The sizes of maps that are copied phase by phase.
#[derive(Clone, Copy)]
pub(super) struct Phases {
    /// Stride of the convolution: a map has `stride * stride` phases.
    pub(super) stride: usize,
    pub(super) images: usize,
    /// Rows of one phase of one image.
    pub(super) rows: usize,
    pub(super) cols: usize,
}

/// Where copies come from: maps `(B, channels, h, w)`, padded at the top and on the left.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) values: &'a [f32],
    pub(super) channels: usize,
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) top: usize,
    pub(super) left: usize,
}

impl Phases {
    /// Positions of one phase of one image.
    pub(super) fn image_len(&self) -> usize {
        self.rows * self.cols
    }

    /// Positions of one phase of a channel.
    pub(super) fn phase(&self) -> usize {
        self.images * self.image_len()
    }

    /// Positions of all phases of a channel.
    pub(super) fn channel(&self) -> usize {
        self.stride * self.stride * self.phase()
    }

    /// Copies channel `c` of images from `image` on, from padded row `row` times the stride on, into `out`, which is zero where
    /// the padding is.
    #[inline(always)]
    pub(super) fn fill(&self, from: &Source<'_>, (image, row): (usize, usize), c: usize, out: &mut [f32]) {
        let s = self.stride;
        for (phase, out) in out.chunks_exact_mut(self.phase()).enumerate() {
            let across = ValidRange::new((phase % s, from.left), s, from.w, self.cols);
            let down = ValidRange::new((row * s + phase / s, from.top), s, from.h, self.rows);
            for (i, out) in out.chunks_exact_mut(self.image_len()).enumerate() {
                let map = &from.values[((image + i) * from.channels + c) * from.h * from.w..];
                for y in 0..down.count {
                    let row = &map[(down.from + y * s) * from.w + across.from..];
                    copy_row(row, s, &mut out[(down.at + y) * self.cols + across.at..][..across.count]);
                }
            }
        }
    }
}

/// `made[i][p] = sum_t w[i w_row + w_t] x[p + x_t]` for `p` in `0..n` and a little beyond; rows of `made` are `made_row` apart.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(super) unsafe fn correlate<S: Simd>(
    x: &[f32],
    taps: &[Tap],
    (w, w_row, rows): (&[f32], usize, usize),
    n: usize,
    made: &mut [f32],
    made_row: usize,
) {
    // One row alone has registers to spare, but not for rows that are not there.
    let step = if rows == 1 { ALONE * S::LANES } else { S::TAP_COLS };
    let n = n.next_multiple_of(step);
    let furthest = taps.iter().fold((0, 0), |f, t| (t.x.max(f.0), t.w.max(f.1)));
    assert!(
        rows > 0 && (taps.is_empty() || furthest.1 + (rows - 1) * w_row < w.len()),
        "correlate: taps leave the weights"
    );
    assert!(furthest.0 + n <= x.len(), "correlate: taps leave the input");
    assert!(made_row >= n && (rows - 1) * made_row + n <= made.len(), "correlate: the output is too small");
    for p in (0..n).step_by(step) {
        for i in (0..rows).step_by(S::TAP_ROWS) {
            // SAFETY: the machine has `S`, as promised; by the assertions, all reads and writes lie in their slices.
            unsafe {
                let tile = TapLoop {
                    taps,
                    x: x.as_ptr().add(p),
                    w: w.as_ptr().add(i * w_row),
                    w_row,
                    y: made.as_mut_ptr().add(i * made_row + p),
                    y_row: made_row,
                    rows: (rows - i).min(S::TAP_ROWS),
                };
                if rows == 1 {
                    tile.compute::<S, 1, ALONE>()
                } else {
                    S::taps(tile)
                };
            }
        }
    }
}
