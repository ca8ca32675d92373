//! Filters, transformed and laid out as the products read them; and their gradients, transformed back.
use crate::cpu::simd::{Isa, Kernel, Simd, dispatch};
use rayon::prelude::*;

/// 3x3 filters of `(outputs, inputs)`, wherever they lie in memory.
#[derive(Clone, Copy)]
pub(super) struct Filters<'a> {
    pub(super) values: &'a [f32],
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) output_step: usize,
    pub(super) input_step: usize,
    /// Whether filters are rotated by 180 degrees.
    pub(super) flipped: bool,
    /// A factor per output, if any.
    pub(super) scale: Option<&'a [f32]>,
}

const TAPS: usize = 9;

impl<'a> Filters<'a> {
    /// The filters of a convolution whose weight is `(o, c, 3, 3)`.
    pub(super) fn plain(values: &'a [f32], o: usize, c: usize) -> Self {
        let (output_step, input_step) = (c * TAPS, TAPS);
        Self { values, outputs: o, inputs: c, output_step, input_step, flipped: false, scale: None }
    }

    /// The same filters from outputs to inputs, as the input's gradient reads them.
    pub(super) fn swapped(values: &'a [f32], o: usize, c: usize) -> Self {
        let (output_step, input_step) = (TAPS, c * TAPS);
        Self { values, outputs: c, inputs: o, output_step, input_step, flipped: false, scale: None }
    }

    /// The nine taps of one filter, into lane `i` of `R` filters.
    #[inline(always)]
    fn taps<const R: usize>(&self, (output, input): (usize, usize), i: usize, out: &mut [[f32; R]; TAPS]) {
        let from = &self.values[output * self.output_step + input * self.input_step..][..TAPS];
        let scale = self.scale.map_or(1., |s| s[output]);
        for (t, out) in out.iter_mut().enumerate() {
            out[i] = scale * from[if self.flipped { TAPS - 1 - t } else { t }];
        }
    }
}

/// Output channels that are finished together: rows of a chunk's products.
pub(super) const CHUNK: usize = 32;

/// Consecutive output channels; with gates, each channel's gate after them.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) first: usize,
    pub(super) len: usize,
    /// Blocks of rows, gates included.
    pub(super) blocks: usize,
    /// Where the chunk's values start.
    start: usize,
}

/// Transformed kernels: chunk, product, block of output channels, input channel, output channel; zero where a block has no
/// such channel.
pub(crate) struct Transformed {
    values: Vec<f32>,
    pub(super) chunks: Vec<Chunk>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// The first channel that is a gate.
    pub(super) gates: Option<usize>,
    /// Rows of a block.
    pub(super) rows: usize,
    products: usize,
}

impl Transformed {
    pub(super) fn new<const E: usize>(
        isa: Isa,
        by: &[[f32; 3]; E],
        kernels: &Filters<'_>,
        gated: bool,
    ) -> Self {
        let rows = isa.rows();
        let (sources, per) = if gated { (kernels.outputs / 2, CHUNK / 2) } else { (kernels.outputs, CHUNK) };
        let mut chunks = Vec::with_capacity(sources.div_ceil(per));
        let mut start = 0;
        for first in (0..sources).step_by(per) {
            let len = per.min(sources - first);
            let blocks = len.div_ceil(rows) * if gated { 2 } else { 1 };
            chunks.push(Chunk { first, len, blocks, start });
            start += blocks * rows * kernels.inputs * E * E;
        }
        let mut made = Self {
            values: vec![0.; start],
            chunks,
            inputs: kernels.inputs,
            outputs: kernels.outputs,
            gates: gated.then_some(sources),
            rows,
            products: E * E,
        };
        let mut parts = Vec::with_capacity(made.chunks.len());
        let mut rest = made.values.as_mut_slice();
        for chunk in &made.chunks {
            let (part, after) = rest.split_at_mut(chunk.blocks * rows * kernels.inputs * E * E);
            parts.push((chunk, part));
            rest = after;
        }
        parts.into_par_iter().with_max_len(1).for_each(|(chunk, out)| {
            dispatch(isa, TransformChunk { by, kernels, chunk, gates: made.gates, out });
        });
        made
    }

    /// The kernels of one product in one chunk: its blocks, one after the other.
    #[inline(always)]
    pub(super) fn of(&self, chunk: &Chunk, product: usize) -> &[f32] {
        let size = chunk.blocks * self.rows * self.inputs;
        debug_assert!(product < self.products);
        &self.values[chunk.start + product * size..][..size]
    }
}

struct TransformChunk<'a, const E: usize> {
    by: &'a [[f32; 3]; E],
    kernels: &'a Filters<'a>,
    chunk: &'a Chunk,
    gates: Option<usize>,
    out: &'a mut [f32],
}

impl<const E: usize> Kernel for TransformChunk<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        match S::ROWS {
            8 => self.blocks::<8>(),
            _ => self.blocks::<4>(),
        }
    }
}

impl<const E: usize> TransformChunk<'_, E> {
    #[inline(always)]
    fn blocks<const R: usize>(self) {
        let inputs = self.kernels.inputs;
        let size = self.chunk.blocks * R * inputs;
        let plain = self.chunk.len.div_ceil(R);
        for block in 0..self.chunk.blocks {
            // The first `plain` blocks are channels, the others their gates.
            let at = block % plain * R;
            let len = R.min(self.chunk.len - at);
            let first = self.chunk.first + at + if block < plain { 0 } else { self.gates.unwrap_or(0) };
            for c in 0..inputs {
                let mut taps = [[0f32; R]; TAPS];
                for i in 0..len {
                    self.kernels.taps((first + i, c), i, &mut taps);
                }
                let made = kernel::<E, R>(self.by, &taps);
                for (e, made) in made.as_flattened().iter().enumerate() {
                    self.out[e * size + (block * inputs + c) * R..][..R].copy_from_slice(made);
                }
            }
        }
    }
}

/// `by k by^T` for `R` kernels at once.
#[inline(always)]
fn kernel<const E: usize, const R: usize>(by: &[[f32; 3]; E], taps: &[[f32; R]; TAPS]) -> [[[f32; R]; E]; E] {
    let weigh = |row: &[f32; 3], at: [&[f32; R]; 3]| -> [f32; R] {
        std::array::from_fn(|i| row[0] * at[0][i] + row[1] * at[1][i] + row[2] * at[2][i])
    };
    std::array::from_fn(|p| {
        let across: [[f32; R]; 3] =
            std::array::from_fn(|v| weigh(&by[p], [&taps[v], &taps[3 + v], &taps[6 + v]]));
        std::array::from_fn(|q| weigh(&by[q], [&across[0], &across[1], &across[2]]))
    })
}

/// `by^T d by`, for `R` kernels at once: the gradients of kernels from those of their transformed selves.
#[inline(always)]
pub(super) fn gradient_of_kernel<const E: usize, const R: usize>(
    by: &[[f32; 3]; E],
    d: &[[[f32; R]; E]; E],
) -> [[f32; R]; TAPS] {
    let mut taps = [[0f32; R]; TAPS];
    for (p, row) in d.iter().enumerate() {
        let mut across = [[0f32; R]; 3];
        for (values, by) in row.iter().zip(by) {
            for (across, k) in across.iter_mut().zip(by) {
                across.iter_mut().zip(values).for_each(|(a, v)| *a += v * k);
            }
        }
        for (t, tap) in taps.iter_mut().enumerate() {
            let k = by[p][t / 3];
            tap.iter_mut().zip(&across[t % 3]).for_each(|(t, a)| *t += k * a);
        }
    }
    taps
}
