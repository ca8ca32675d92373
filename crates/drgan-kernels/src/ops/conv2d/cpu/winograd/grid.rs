//! Tiles of a batch of maps: where their patches lie, and how registers get them.
use crate::cpu::simd::Simd;
use crate::cpu::slices::copy_row;
use std::ops::Range;

/// Tiles of `b` maps, numbered map by map and row by row.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) b: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl Grid {
    pub(super) fn tiles(&self) -> usize {
        self.b * self.rows * self.cols
    }

    /// Runs of tiles in one row each that tiles `from..from + len` consist of: `(first, how many)`.
    pub(super) fn runs(&self, from: usize, len: usize) -> impl Iterator<Item = (usize, usize)> {
        let (cols, end) = (self.cols, (from + len).min(self.tiles()));
        let mut at = from;
        std::iter::from_fn(move || {
            let n = (cols - at % cols).min(end.checked_sub(at)?);
            let run = (at, n);
            at += n;
            (n > 0).then_some(run)
        })
    }

    /// `(map, row, column)` of a tile.
    pub(super) fn place(&self, tile: usize) -> (usize, usize, usize) {
        let row = tile / self.cols;
        (row / self.rows, row % self.rows, tile % self.cols)
    }
}

/// Maps `(B, channels, h, w)`, seen with `top` and `left` zeros before and as many as needed after.
#[derive(Clone, Copy)]
pub(super) struct Maps<'a> {
    pub(super) values: &'a [f32],
    pub(super) channels: usize,
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) top: usize,
    pub(super) left: usize,
}

/// The padded rows that the patches of some rows of tiles read: `SIDE` of them a row of tiles.
pub(super) struct Bands {
    first: usize,
    rows: usize,
    pitch: usize,
}

impl Bands {
    /// For `tiles` of `grid`, with patches of `side` that are `step` apart.
    pub(super) fn new(grid: &Grid, tiles: &Range<usize>, step: usize, side: usize) -> Self {
        let first = tiles.start / grid.cols;
        let rows = (tiles.end - 1) / grid.cols + 1 - first;
        Self { first, rows, pitch: step * (grid.cols - 1) + side }
    }

    /// Values of all padded rows, and what registers may read after the last.
    pub(super) fn len<S: Simd>(&self, step: usize, side: usize) -> usize {
        self.rows * side * self.pitch + (S::LANES + side) * step
    }

    /// Copies one channel's rows into `out`, which is zero where the padding is.
    #[inline(always)]
    pub(super) fn fill<const STEP: usize, const SIDE: usize>(
        &self,
        grid: &Grid,
        maps: &Maps<'_>,
        channel: usize,
        out: &mut [f32],
    ) {
        let (from, to) = (maps.left.min(self.pitch), (maps.left + maps.w).min(self.pitch));
        for (i, out) in out.chunks_exact_mut(SIDE * self.pitch).enumerate().take(self.rows) {
            let row = self.first + i;
            let (map, row) = (row / grid.rows, row % grid.rows);
            let plane = &maps.values[(map * maps.channels + channel) * maps.h * maps.w..][..maps.h * maps.w];
            for (r, out) in out.chunks_exact_mut(self.pitch).enumerate() {
                let y = (row * STEP + r).wrapping_sub(maps.top);
                if y < maps.h {
                    copy_row(&plane[y * maps.w..], 1, &mut out[from..to]);
                }
            }
        }
    }

    /// The patches of `LANES` tiles from `tile` on. Tiles after the last are zeros.
    ///
    /// # Safety
    /// As [`Simd`]; `bands` was filled by `fill` and has [`Bands::len`] values; `joined` has [`joined_len`] values; both
    /// outlive the result.
    #[inline(always)]
    pub(super) unsafe fn patches<S: Simd, const STEP: usize, const SIDE: usize>(
        &self,
        grid: &Grid,
        tile: usize,
        bands: &[f32],
        joined: &mut [f32],
    ) -> Patches {
        let start =
            |tile: usize| (tile / grid.cols - self.first) * SIDE * self.pitch + tile % grid.cols * STEP;
        if tile % grid.cols + S::LANES <= grid.cols {
            // SAFETY: the tiles lie in one row, whose padded rows are in `bands`.
            let first = unsafe { bands.as_ptr().add(start(tile)) };
            return Patches { first, row: self.pitch, shift: STEP };
        }
        // From several rows: put together first, once for each shift that columns are read at.
        let block = S::LANES * STEP;
        let shifts = SIDE.div_ceil(STEP);
        let row = block * shifts;
        if grid.tiles() < tile + S::LANES {
            joined[..SIDE * row].fill(0.);
        }
        let mut lane = 0;
        for (first, n) in grid.runs(tile, S::LANES) {
            for r in 0..SIDE {
                for shift in 0..shifts {
                    let from = start(first) + r * self.pitch + shift * STEP;
                    copy_row(
                        &bands[from..],
                        1,
                        &mut joined[r * row + shift * block + lane * STEP..][..n * STEP],
                    );
                }
            }
            lane += n;
        }
        Patches { first: joined.as_ptr(), row, shift: block }
    }
}

/// Patches of `LANES` tiles, a register of each column.
#[derive(Clone, Copy)]
pub(super) struct Patches {
    first: *const f32,
    row: usize,
    shift: usize,
}

impl Patches {
    /// The columns of row `r`.
    ///
    /// # Safety
    /// As [`Bands::patches`], with the same `STEP` and `SIDE`, and `r < SIDE`.
    #[inline(always)]
    pub(super) unsafe fn row<S: Simd, const STEP: usize, const SIDE: usize>(self, r: usize) -> [S::V; SIDE] {
        // SAFETY: the caller's promise.
        unsafe { columns::<S, STEP, SIDE>(self.first.add(r * self.row), self.shift) }
    }
}

/// Values that [`Bands::patches`] puts together.
pub(super) fn joined_len<S: Simd>(step: usize, side: usize) -> usize {
    side * side.div_ceil(step) * step * S::LANES
}

/// Columns `0..SIDE` of `LANES` patches that start `STEP` apart at `p`; columns from `STEP k` on are read `k shift` further.
///
/// # Safety
/// As [`Simd`]; `LANES STEP` values are there at each shift.
#[inline(always)]
unsafe fn columns<S: Simd, const STEP: usize, const SIDE: usize>(
    p: *const f32,
    shift: usize,
) -> [S::V; SIDE] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut out = [S::zero(); SIDE];
        for (k, out) in out.chunks_mut(STEP).enumerate() {
            let p = p.add(k * shift);
            match STEP {
                1 => out[0] = S::load(p),
                2 => out.copy_from_slice(&S::split2(p)[..out.len()]),
                _ => out.copy_from_slice(&S::split4(p)[..out.len()]),
            }
        }
        out
    }
}
