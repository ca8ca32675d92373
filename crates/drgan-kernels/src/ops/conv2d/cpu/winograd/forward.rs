//! From maps to maps: transform patches, multiply by filters, transform back, apply the epilogue.
use super::grid::{Bands, Grid, Maps, joined_len};
use super::tiling::Tiling;
use super::transforms::both;
use super::weights::{CHUNK, Chunk, Transformed};
use crate::cpu::scratch::Scratch;
use crate::cpu::shared_slice::{SharedSlice, fill_uninit};
use crate::cpu::simd::{Isa, Kernel, Simd, Tile, dispatch};
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use rayon::prelude::*;
use std::marker::PhantomData;

/// Transformed input values that a task keeps resident in cache, about: half of a core's L2 cache.
const PANEL: usize = 300_000;
/// Tiles of a panel: at least, so that each kernel read is used often enough; at most.
const TILES: (usize, usize) = (32, 512);
/// Tasks that a convolution is divided into at least, if it has that many chunks of outputs: panels are divided by outputs
/// then.
const TASKS: usize = 8;

/// Convolves `from`, tiled as `grid`, into maps of `to`.
pub(super) fn run<F, const STEP: usize, const I: usize, const E: usize, const O: usize>(
    isa: Isa,
    grid: Grid,
    from: Maps<'_>,
    kernels: &Transformed,
    to: (usize, usize),
    epilogue: &Epilogue<'_>,
) -> Vec<f32>
where
    F: Tiling<STEP, I, E, O> + Sync,
{
    let channels = kernels.gates.unwrap_or(kernels.outputs);
    let tiles = grid.tiles();
    let fitting = PANEL / (E * E * from.channels).max(1);
    let panel = (fitting / TILES.0 * TILES.0).clamp(TILES.0, TILES.1);
    let panels = tiles.div_ceil(panel);
    let chunks = kernels.chunks.len();
    let share = chunks.div_ceil(TASKS.div_ceil(panels)).max(1);
    let shares = chunks.div_ceil(share);
    // SAFETY: tiles cover every pixel, chunks every channel, and `finish` writes before it reads.
    unsafe {
        fill_uninit(grid.b * channels * to.0 * to.1, |out| {
            (0..panels * shares).into_par_iter().with_max_len(1).for_each(|task| {
                let (first, share_of) = (task / shares * panel, task % shares * share);
                let chunks = &kernels.chunks[share_of..chunks.min(share_of + share)];
                let tiles = (first, panel.min(tiles - first));
                let form = PhantomData;
                dispatch(
                    isa,
                    TilePanel::<F, STEP, I, E, O> {
                        grid,
                        from,
                        kernels,
                        chunks,
                        to,
                        epilogue,
                        tiles,
                        out,
                        form,
                    },
                );
            });
        })
    }
}

/// Some tiles of some output channels.
struct TilePanel<'a, F, const STEP: usize, const I: usize, const E: usize, const O: usize> {
    grid: Grid,
    from: Maps<'a>,
    kernels: &'a Transformed,
    chunks: &'a [Chunk],
    to: (usize, usize),
    epilogue: &'a Epilogue<'a>,
    /// The first tile, and the number of tiles.
    tiles: (usize, usize),
    out: SharedSlice,
    form: PhantomData<F>,
}

impl<F, const STEP: usize, const I: usize, const E: usize, const O: usize> Kernel
    for TilePanel<'_, F, STEP, I, E, O>
where
    F: Tiling<STEP, I, E, O>,
{
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let wide = self.tiles.1.next_multiple_of(S::COLS);
        let products = if F::MERGED { 1 } else { E * E };
        // Guards, not closures: a closure's body would not be compiled for `S`'s instructions.
        let mut inputs = Scratch::new(E * E * self.from.channels * wide);
        let mut made = Scratch::new(products * CHUNK * wide);
        // SAFETY: the machine has `S`, as promised; the buffers have the sizes that each step states.
        unsafe {
            self.transform::<S>(wide, &mut inputs);
            for chunk in self.chunks {
                self.multiply::<S>(chunk, wide, &inputs, &mut made);
                self.finish::<S>(chunk, wide, &made);
            }
        }
    }
}

impl<F, const STEP: usize, const I: usize, const E: usize, const O: usize> TilePanel<'_, F, STEP, I, E, O>
where
    F: Tiling<STEP, I, E, O>,
{
    /// Fills `inputs`: product, block of `COLS` tiles, channel, tile.
    ///
    /// # Safety
    /// As [`Simd`]; `inputs` has `E^2 channels wide` values.
    #[inline(always)]
    unsafe fn transform<S: Simd>(&self, wide: usize, inputs: &mut [f32]) {
        let (grid, channels) = (&self.grid, self.from.channels);
        let bands = Bands::new(grid, &(self.tiles.0..self.tiles.0 + self.tiles.1), STEP, I);
        let product = channels * wide;
        assert!(inputs.len() >= E * E * product);
        let mut rows = Scratch::new(bands.len::<S>(STEP, I));
        rows.fill(0.);
        let mut joined = Scratch::new(joined_len::<S>(STEP, I));
        for c in 0..channels {
            bands.fill::<STEP, I>(grid, &self.from, c, &mut rows);
            for tile in (0..self.tiles.1).step_by(S::LANES) {
                // SAFETY: `rows` was just filled; the places written lie in `inputs` by the assertion.
                unsafe {
                    let from = bands.patches::<S, STEP, I>(grid, self.tiles.0 + tile, &rows, &mut joined);
                    let made = both::<S, F::Input, I, E>(
                        #[inline(always)]
                        |r| from.row::<S, STEP, I>(r),
                    );
                    let block = tile / S::COLS * S::COLS * channels;
                    let at = inputs.as_mut_ptr().add(block + c * S::COLS + tile % S::COLS);
                    for (p, row) in made.iter().enumerate() {
                        for (q, v) in row.iter().enumerate() {
                            S::store(at.add((p * E + q) * product), *v);
                        }
                    }
                }
            }
            // What is left of the last block of tiles belongs to nobody, but must be numbers.
            let end = self.tiles.1.next_multiple_of(S::LANES);
            if end < wide {
                let block = end / S::COLS * S::COLS * channels + c * S::COLS;
                for product in inputs.chunks_exact_mut(product).take(E * E) {
                    product[block + end % S::COLS..block + S::COLS].fill(0.);
                }
            }
        }
    }

    /// Fills `made`: product, row of the chunk, tile.
    ///
    /// # Safety
    /// As [`Simd`]; `inputs` as [`TilePanel::transform`] leaves it, `made` has `CHUNK wide` values per product.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&self, chunk: &Chunk, wide: usize, inputs: &[f32], made: &mut [f32]) {
        let channels = self.from.channels;
        assert!(chunk.blocks * S::ROWS <= CHUNK && self.kernels.rows == S::ROWS);
        for product in 0..E * E {
            let kernels = self.kernels.of(chunk, product);
            let inputs = &inputs[product * channels * wide..][..channels * wide];
            let at = if F::MERGED { 0 } else { product * CHUNK * wide };
            let made = &mut made[at..at + CHUNK * wide];
            for block in 0..chunk.blocks {
                let kernels = &kernels[block * channels * S::ROWS..][..channels * S::ROWS];
                for tile in (0..wide).step_by(S::COLS) {
                    // SAFETY: `channels` steps of ROWS and COLS values are in the slices; the result's rows are `wide`
                    // apart, fewer than CHUNK.
                    unsafe {
                        S::tile(Tile {
                            k: channels,
                            a: kernels.as_ptr(),
                            a_step: S::ROWS,
                            b: inputs.as_ptr().add(tile * channels),
                            b_step: S::COLS,
                            c: made.as_mut_ptr().add(block * S::ROWS * wide + tile),
                            c_row: wide,
                            accumulate: F::MERGED && product > 0,
                        });
                    }
                }
            }
        }
    }

    /// Brings a chunk's products back to maps and writes them.
    ///
    /// # Safety
    /// As [`Simd`]; `made` as [`TilePanel::multiply`] leaves it.
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, chunk: &Chunk, wide: usize, made: &[f32]) {
        let line = S::LANES * O; // values of one output row of a register of tiles
        let gates = self.kernels.gates;
        let mut scratch = Scratch::new(2 * O * line);
        let (sums, gate) = scratch.split_at_mut(O * line);
        for i in 0..chunk.len {
            let o = chunk.first + i;
            for tile in (0..self.tiles.1).step_by(S::LANES) {
                // SAFETY: rows of `made` are `wide` long, a multiple of COLS, and `sums` and `gate` have O rows.
                unsafe {
                    self.output::<S>(&made[i * wide + tile..], wide, sums);
                    if gates.is_some() {
                        let row = chunk.blocks / 2 * S::ROWS + i;
                        self.output::<S>(&made[row * wide + tile..], wide, gate);
                    }
                }
                self.write(o, self.tiles.0 + tile, S::LANES.min(self.tiles.1 - tile), sums, gate);
            }
        }
    }

    /// The output rows of a register of tiles, whose first product is at `made[0]`.
    ///
    /// # Safety
    /// As [`Simd`]; the products are `CHUNK wide` apart, `out` has `O` rows of `LANES O` values.
    #[inline(always)]
    unsafe fn output<S: Simd>(&self, made: &[f32], wide: usize, out: &mut [f32]) {
        let step = CHUNK * wide;
        let products = if F::MERGED { 1 } else { E * E };
        assert!((products - 1) * step + S::LANES <= made.len() && out.len() >= O * O * S::LANES);
        // SAFETY: in bounds by the assertion.
        unsafe {
            let tiles = if F::MERGED {
                // The products come summed, one per output.
                let mut one = [[S::zero(); O]; O];
                one[0][0] = S::load(made.as_ptr());
                one
            } else {
                both::<S, F::Output, E, O>(
                    #[inline(always)]
                    |p| {
                        let mut row = [S::zero(); E];
                        for (q, v) in row.iter_mut().enumerate() {
                            *v = S::load(made.as_ptr().add((p * E + q) * step));
                        }
                        row
                    },
                )
            };
            for (r, row) in tiles.iter().enumerate() {
                let at = out.as_mut_ptr().add(r * S::LANES * O);
                match O {
                    1 => S::store(at, row[0]),
                    2 => S::join2([row[0], row[1]], at),
                    _ => S::join4([row[0], row[1], row[2], row[3]], at),
                }
            }
        }
    }

    /// Finishes and writes the outputs of `n` tiles from `tile` on for channel `o`.
    #[inline(always)]
    fn write(&self, o: usize, tile: usize, n: usize, sums: &[f32], gate: &[f32]) {
        let (grid, (h, w)) = (&self.grid, self.to);
        let channels = self.kernels.gates.unwrap_or(self.kernels.outputs);
        let gate_o = o + self.kernels.gates.unwrap_or(0);
        let line = sums.len() / O;
        let mut lane = 0;
        for (first, n) in grid.runs(tile, n) {
            let (map, row, col) = grid.place(first);
            let (top, left) = (row * O, col * O);
            let len = (n * O).min(w - left);
            for r in 0..O.min(h - top) {
                let at = ((map * channels + o) * h + top + r) * w + left;
                let of = r * line + lane * O;
                let (sums, gate) = (&sums[of..of + len], &gate[of..of + len]);
                // SAFETY: every output pixel belongs to one tile, and a channel's tile to one task.
                let y = unsafe { self.out.slice_mut(at, len) };
                self.epilogue.finish((o, sums), (gate_o, gate), at, y);
            }
            lane += n;
        }
    }
}
