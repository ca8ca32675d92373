//! Weights as the matrix unit wants them.
use super::plan::Taps;
use super::products::{BLOCK, SIDE, WeightTile};
use crate::ops::conv2d::shape::ConvShape;
use rayon::prelude::*;

/// The nearest bf16, ties to even.
pub(super) fn bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// A convolution's weights in bf16, packed once: phase, tile of output channels, block of input channels, tap.
///
/// An even number of output channels is cut into halves that begin a tile each, so that a gated linear unit finds both
/// of its halves at the same place of two tiles.
pub(crate) struct Weights {
    values: Vec<WeightTile>,
    outputs: usize,
    inputs: usize,
    tiles: usize,
    steps: usize,
}

impl Weights {
    /// `weight`: `(O, C kh kw)`. Of `g`, the map's sides and the batch do not matter.
    pub(crate) fn new(g: &ConvShape, weight: &[f32]) -> Self {
        let large = g.kh * g.kw;
        assert_eq!(weight.len(), g.o * g.c * large, "weights of {}x{}x{large}", g.o, g.c);
        let phases = Taps::phases(g);
        let taps = phases[0].len();
        let steps = g.c.div_ceil(BLOCK) * taps;
        let mut packed =
            Self { values: Vec::new(), outputs: g.o, inputs: g.c, tiles: Self::tiles_of(g.o), steps };
        packed.values = vec![WeightTile([[0; BLOCK]; SIDE]); phases.len() * packed.tiles * steps];
        let tiles: Vec<_> = (0..packed.tiles).map(|t| packed.channels(t)).collect();
        packed.values.par_chunks_exact_mut(steps).enumerate().for_each(|(i, dst)| {
            let (phase, (first, count)) = (&phases[i / tiles.len()], tiles[i % tiles.len()]);
            for (k, dst) in dst.iter_mut().enumerate() {
                let inputs = k / taps * BLOCK..(k / taps * BLOCK + BLOCK).min(g.c);
                for o in 0..count {
                    for (i, c) in inputs.clone().enumerate() {
                        let all = &weight[((first + o) * g.c + c) * large..][..large];
                        let sum = phase.tap(k % taps).iter().map(|&t| all[t]).sum();
                        dst.0[i / 2][2 * o + i % 2] = bf16(sum);
                    }
                }
            }
        });
        packed
    }

    fn half(outputs: usize) -> Option<usize> {
        outputs.is_multiple_of(2).then_some(outputs / 2)
    }

    /// Tiles of output channels for `outputs` channels: always an even number.
    fn tiles_of(outputs: usize) -> usize {
        match Self::half(outputs) {
            Some(half) => 2 * half.div_ceil(SIDE),
            None => outputs.div_ceil(SIDE).next_multiple_of(2),
        }
    }

    /// Tiles of output channels.
    pub(super) fn tiles(&self) -> usize {
        self.tiles
    }

    /// First output channel of a tile, and how many it has.
    pub(super) fn channels(&self, tile: usize) -> (usize, usize) {
        match Self::half(self.outputs) {
            Some(half) => {
                let (side, tile) = (tile / (self.tiles / 2), tile % (self.tiles / 2));
                (side * half + tile * SIDE, SIDE.min(half - tile * SIDE))
            }
            None => {
                let first = (tile * SIDE).min(self.outputs);
                (first, SIDE.min(self.outputs - first))
            }
        }
    }

    /// The products of one phase and one tile of output channels.
    pub(super) fn of(&self, phase: usize, tile: usize) -> &[WeightTile] {
        &self.values[(phase * self.tiles + tile) * self.steps..][..self.steps]
    }

    /// Whether these are the weights of `g`.
    pub(super) fn fit(&self, g: &ConvShape, steps: usize) -> bool {
        (self.outputs, self.inputs, self.steps) == (g.o, g.c, steps)
    }
}
