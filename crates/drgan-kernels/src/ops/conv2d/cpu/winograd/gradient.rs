//! The filters' gradient: patches of the input and of the output's gradient, transformed, multiplied tile by tile.
use super::grid::{Bands, Grid, Maps, joined_len};
use super::transforms::{Linear, both};
use super::weights::gradient_of_kernel;
use crate::cpu::scratch::Scratch;
use crate::cpu::simd::{Isa, Kernel, Simd, Tile, dispatch};
use rayon::prelude::*;
use std::marker::PhantomData;

/// Transformed inputs that a task keeps resident in cache, about.
const PANEL: usize = 400_000;
/// Tiles of a panel: at least (a multiple of every register's lanes), at most.
const TILES: (usize, usize) = (32, 512);
/// Output channels whose gradients are transformed at a time.
const CHUNK: usize = 32;
/// Independent accumulators, at most, and values they may have together.
const SUMS: usize = 4;
const SUM_VALUES: usize = 5 << 20;
/// Filters that are transformed back at once.
const TOGETHER: usize = 16;
/// Tasks to divide the work into: by panels into sums, then by output channels.
const TASKS: usize = 8;

/// `(O, C, 9)` from inputs `x` and gradients `y` of outputs, tiled as `grid`; `by` transforms the kernels.
pub(super) fn run<X, Y, const SX: usize, const I: usize, const SY: usize, const J: usize, const E: usize>(
    isa: Isa,
    grid: Grid,
    x: Maps<'_>,
    y: Maps<'_>,
    by: &[[f32; 3]; E],
) -> Vec<f32>
where
    X: Linear<I, E>,
    Y: Linear<J, E>,
{
    let (tiles, chunks) = (grid.tiles(), y.channels.div_ceil(CHUNK));
    let row = x.channels.next_multiple_of(isa.cols()).next_multiple_of(TOGETHER);
    let size = E * E * chunks * CHUNK * row;
    let panel = (PANEL / (E * E * row) / TILES.0 * TILES.0).clamp(TILES.0, TILES.1);
    let panels = tiles.div_ceil(panel);
    let parts = (SUM_VALUES / size.max(1)).clamp(1, SUMS).min(panels);
    let share = chunks.div_ceil(TASKS.div_ceil(parts)).max(1);
    let shares = chunks.div_ceil(share);
    let each = panels.div_ceil(parts);
    let sums: Vec<Vec<f32>> = (0..parts * shares)
        .into_par_iter()
        .with_max_len(1)
        .map(|task| {
            let (part, first) = (task / shares, task % shares * share);
            let chunks = first..chunks.min(first + share);
            let tiles = part * each * panel..tiles.min((part + 1) * each * panel);
            dispatch(
                isa,
                Part::<X, Y, SX, I, SY, J, E> {
                    grid,
                    x,
                    y,
                    row,
                    chunks,
                    tiles,
                    panel,
                    transforms: PhantomData,
                },
            )
        })
        .collect();
    let mut dw = vec![0f32; y.channels * x.channels * 9];
    dw.par_chunks_exact_mut((x.channels * 9).max(1)).enumerate().with_min_len(4).for_each(|(o, dw)| {
        let (of, at) = (o / (share * CHUNK), o % (share * CHUNK));
        let parts: Vec<&[f32]> = (0..parts).map(|p| sums[p * shares + of].as_slice()).collect();
        dispatch(isa, Collect { by, parts, at, row, dw });
    });
    dw
}

/// The sums of some tiles for some chunks of output channels: product, output channel, input channel.
struct Part<'a, X, Y, const SX: usize, const I: usize, const SY: usize, const J: usize, const E: usize> {
    grid: Grid,
    x: Maps<'a>,
    y: Maps<'a>,
    /// Values of a row of input channels.
    row: usize,
    chunks: std::ops::Range<usize>,
    tiles: std::ops::Range<usize>,
    panel: usize,
    transforms: PhantomData<(X, Y)>,
}

impl<X, Y, const SX: usize, const I: usize, const SY: usize, const J: usize, const E: usize> Kernel
    for Part<'_, X, Y, SX, I, SY, J, E>
where
    X: Linear<I, E>,
    Y: Linear<J, E>,
{
    type Output = Vec<f32>;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Vec<f32> {
        let mut sums = vec![0f32; E * E * self.chunks.len() * CHUNK * self.row];
        for first in self.tiles.clone().step_by(self.panel) {
            let tiles = first..self.tiles.end.min(first + self.panel);
            let wide = tiles.len().next_multiple_of(S::LANES);
            let mut inputs = Scratch::new(E * E * wide * self.row);
            let mut outputs = Scratch::new(E * E * wide * CHUNK);
            let grid = &self.grid;
            // SAFETY (all): the machine has `S`, as promised.
            unsafe {
                let all = 0..self.x.channels;
                factors::<S, X, SX, I, E>(grid, &self.x, all, &tiles, self.row, &mut inputs);
                for (i, chunk) in self.chunks.clone().enumerate() {
                    let some = chunk * CHUNK..self.y.channels.min((chunk + 1) * CHUNK);
                    let blocks = some.len().div_ceil(S::ROWS);
                    factors::<S, Y, SY, J, E>(grid, &self.y, some, &tiles, CHUNK, &mut outputs);
                    self.multiply::<S>(wide, &inputs, &outputs, blocks, i, &mut sums);
                }
            }
        }
        sums
    }
}

impl<X, Y, const SX: usize, const I: usize, const SY: usize, const J: usize, const E: usize>
    Part<'_, X, Y, SX, I, SY, J, E>
where
    X: Linear<I, E>,
    Y: Linear<J, E>,
{
    /// Adds a panel's products to the sums of the chunk at place `chunk`.
    ///
    /// # Safety
    /// As [`Simd`]; `inputs` and `outputs` hold `wide` rows per product.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(
        &self,
        wide: usize,
        inputs: &[f32],
        outputs: &[f32],
        blocks: usize,
        chunk: usize,
        sums: &mut [f32],
    ) {
        let used = self.x.channels.next_multiple_of(S::COLS);
        let size = self.chunks.len() * CHUNK * self.row;
        assert!(used <= self.row && blocks * S::ROWS <= CHUNK && sums.len() == E * E * size);
        for product in 0..E * E {
            let inputs = &inputs[product * wide * self.row..][..wide * self.row];
            let outputs = &outputs[product * wide * CHUNK..][..wide * CHUNK];
            let sums = &mut sums[product * size + chunk * CHUNK * self.row..][..CHUNK * self.row];
            for block in 0..blocks {
                for c in (0..used).step_by(S::COLS) {
                    // SAFETY: both factors have `wide` rows, of `row` and CHUNK values; the sums CHUNK rows of `row`.
                    unsafe {
                        S::tile(Tile {
                            k: wide,
                            a: outputs.as_ptr().add(block * S::ROWS),
                            a_step: CHUNK,
                            b: inputs.as_ptr().add(c),
                            b_step: self.row,
                            c: sums.as_mut_ptr().add(block * S::ROWS * self.row + c),
                            c_row: self.row,
                            accumulate: true,
                        });
                    }
                }
            }
        }
    }
}

/// Transforms the patches of `channels` and writes them as product, tile, channel, `row` values per tile; tiles after the
/// last are zeros.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn factors<S: Simd, L: Linear<SIDE, E>, const STEP: usize, const SIDE: usize, const E: usize>(
    grid: &Grid,
    maps: &Maps<'_>,
    channels: std::ops::Range<usize>,
    tiles: &std::ops::Range<usize>,
    row: usize,
    out: &mut [f32],
) {
    let wide = tiles.len().next_multiple_of(S::LANES);
    assert!(out.len() >= E * E * wide * row && channels.len().next_multiple_of(S::LANES) <= row);
    let bands = Bands::new(grid, tiles, STEP, SIDE);
    let block = S::LANES * S::LANES; // one product of as many tiles and channels
    let group = E * E * block;
    let mut rows = Scratch::new(bands.len::<S>(STEP, SIDE));
    rows.fill(0.);
    let mut joined = Scratch::new(joined_len::<S>(STEP, SIDE));
    let mut made = Scratch::new(wide / S::LANES * group);
    for first in channels.clone().step_by(S::LANES) {
        let some = S::LANES.min(channels.end - first);
        if some < S::LANES {
            made.fill(0.);
        }
        for i in 0..some {
            bands.fill::<STEP, SIDE>(grid, maps, first + i, &mut rows);
            for (t, made) in made.chunks_exact_mut(group).enumerate() {
                // SAFETY: `rows` was just filled; `made` has E^2 blocks.
                unsafe {
                    let tile = tiles.start + t * S::LANES;
                    let from = bands.patches::<S, STEP, SIDE>(grid, tile, &rows, &mut joined);
                    let values = both::<S, L, SIDE, E>(
                        #[inline(always)]
                        |r| from.row::<S, STEP, SIDE>(r),
                    );
                    for (p, v) in values.as_flattened().iter().enumerate() {
                        S::store(made.as_mut_ptr().add(p * block + i * S::LANES), *v);
                    }
                }
            }
        }
        for (t, made) in made.chunks_exact(group).enumerate() {
            for (p, made) in made.chunks_exact(block).enumerate() {
                let at = (p * wide + t * S::LANES) * row + first - channels.start;
                // SAFETY: in bounds by the assertion.
                unsafe {
                    S::transpose(made.as_ptr(), S::LANES, out.as_mut_ptr().add(at), row);
                }
            }
        }
    }
}

/// Adds up the sums of one output channel and brings them back to kernels.
struct Collect<'a, const E: usize> {
    by: &'a [[f32; 3]; E],
    /// Of each part, the share that holds the channel.
    parts: Vec<&'a [f32]>,
    /// The channel's place in the share.
    at: usize,
    row: usize,
    dw: &'a mut [f32],
}

impl<const E: usize> Kernel for Collect<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        const R: usize = TOGETHER;
        for (block, dw) in self.dw.chunks_mut(9 * R).enumerate() {
            let mut d = [[[0f32; R]; E]; E];
            for part in &self.parts {
                let size = part.len() / (E * E);
                for (p, d) in d.as_flattened_mut().iter_mut().enumerate() {
                    let from = &part[p * size + self.at * self.row + block * R..][..R];
                    d.iter_mut().zip(from).for_each(|(d, s)| *d += s);
                }
            }
            let taps = gradient_of_kernel::<E, R>(self.by, &d);
            for (i, dw) in dw.chunks_exact_mut(9).enumerate() {
                for (dw, tap) in dw.iter_mut().zip(&taps) {
                    *dw = tap[i];
                }
            }
        }
    }
}
