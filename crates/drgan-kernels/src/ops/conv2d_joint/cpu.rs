//! The joint convolution as a convolution of the map and a map of what the vector adds.
//!
//! What the vector adds to an output pixel is the sum, over the taps that lie inside the map there, of one product per tap:
//! these are computed once for all pixels, and a border is the only place where sums differ.
use crate::cpu::channels::Channels;
use crate::cpu::scratch::Scratch;
use crate::cpu::shared_slice::SharedSlice;
use crate::cpu::simd::{Isa, Kernel, Simd, Tap, TapLoop, dispatch};
use crate::op::{Gradient, Op, Pass};
use crate::ops::activation::cpu::activation_backward;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::cpu::select;
use crate::ops::conv2d::shape::ConvShape;
use crate::ops::linear::cpu as linear;
use candle_core::Shape;
use rayon::prelude::*;
use std::ops::Range;

/// A convolution of maps joined to constant vectors. Its inputs are the maps, the weight and the bias.
pub(super) struct Joint {
    /// Sizes of the map's part.
    pub(super) shape: ConvShape,
    /// Number of values per vector.
    pub(super) d: usize,
    /// The vectors, one per image, `(B, D)`.
    pub(super) vectors: Vec<f32>,
    pub(super) act: Activation,
}

impl Joint {
    fn taps(&self) -> usize {
        self.shape.kh * self.shape.kw
    }

    /// An output's weights: of the map, of the vector.
    fn parts<'a>(&self, weight: &'a [f32], o: usize) -> (&'a [f32], &'a [f32]) {
        let row = (self.shape.c + self.d) * self.taps();
        weight[o * row..][..row].split_at(self.shape.c * self.taps())
    }

    /// The map's weights alone, `(O, C kh kw)`.
    fn of_map(&self, weight: &[f32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.shape.o * self.shape.c * self.taps());
        (0..self.shape.o).for_each(|o| out.extend_from_slice(self.parts(weight, o).0));
        out
    }

    /// Batch, vector and taps of all outputs: sizes of the linear map that the vector's weights are.
    fn sizes(&self) -> (usize, usize, usize) {
        (self.shape.b, self.d, self.shape.o * self.taps())
    }

    /// Which taps lie inside the map at which output pixels, as a matrix of ones and zeros, `(pixels, taps)`.
    fn reach(&self) -> Vec<f32> {
        let (g, p, taps) = (&self.shape, self.shape.padding, self.taps());
        let inside = |at: usize, tap: usize, padding: usize, side: usize| {
            (at * g.stride + tap).checked_sub(padding).is_some_and(|at| at < side)
        };
        let pairs = (0..g.oh * g.ow * taps).map(|i| (i / taps, i % taps));
        let of_pair = |(i, t): (usize, usize)| {
            inside(i / g.ow, t / g.kw, p.top, g.h) && inside(i % g.ow, t % g.kw, p.left, g.w)
        };
        pairs.map(|pair| f32::from(of_pair(pair))).collect()
    }

    /// Sizes of the linear map from an output's taps to its pixels.
    fn reach_sizes(&self) -> (usize, usize, usize) {
        (self.shape.b * self.shape.o, self.taps(), self.shape.oh * self.shape.ow)
    }

    /// What the vectors add to every pixel, `(B, O, oh, ow)`.
    fn spread(&self, weight: &[f32]) -> Vec<f32> {
        let (b, d) = (self.shape.b, self.d);
        let mut vectors = vec![0f32; d * lanes(b)]; // (D, B), what a register reads after B is zero
        for (i, row) in vectors.chunks_exact_mut(lanes(b)).enumerate() {
            row.iter_mut().zip(self.vectors[i..].iter().step_by(d)).for_each(|(to, v)| *to = *v);
        }
        let (isa, reach, pixels) = (Isa::best(), self.reach(), self.shape.oh * self.shape.ow);
        let mut y = vec![0f32; b * self.shape.o * pixels];
        let out = SharedSlice::new(&mut y);
        (0..self.shape.o.div_ceil(OUTPUTS)).into_par_iter().with_max_len(1).for_each(|block| {
            let outputs = block * OUTPUTS..self.shape.o.min((block + 1) * OUTPUTS);
            dispatch(isa, Spread { joint: self, weight, vectors: &vectors, reach: &reach, outputs, out });
        });
        y
    }

    /// Of each tap, the sum of `dz` over the pixels that reach it, `(B, O taps)`.
    fn tap_sums(&self, dz: &[f32]) -> Vec<f32> {
        linear::input_gradient(dz, &self.reach(), self.reach_sizes())
    }

    /// Gradient of the weight, both parts in their places.
    fn weight_gradient(&self, x: &[f32], dz: &[f32]) -> Vec<f32> {
        let (g, taps, d) = (&self.shape, self.taps(), self.d);
        let of_map = select::weight_gradient(g, x, dz);
        let of_vector = linear::weight_gradient(&self.vectors, &self.tap_sums(dz), self.sizes());
        let (each, row) = (g.c * taps, (g.c + d) * taps);
        let mut dw = vec![0f32; g.o * row];
        dw.par_chunks_exact_mut(row).enumerate().for_each(|(o, dw)| {
            let (map, vector) = dw.split_at_mut(each);
            map.copy_from_slice(&of_map[o * each..][..each]);
            for (tap, from) in of_vector[o * taps * d..][..taps * d].chunks_exact(d).enumerate() {
                vector[tap..].iter_mut().step_by(taps).zip(from).for_each(|(to, v)| *to = *v);
            }
        });
        dw
    }
}

/// Outputs that a task takes.
const OUTPUTS: usize = 16;
/// Values that every register type divides.
const LANES: usize = 16;

/// Number of lanes for `b` images, one image per lane, in whole registers.
fn lanes(b: usize) -> usize {
    b.next_multiple_of(LANES)
}

/// [`Joint::spread`] of some outputs, one image per lane: products of each tap, then their sums at each pixel.
struct Spread<'a> {
    joint: &'a Joint,
    weight: &'a [f32],
    vectors: &'a [f32],
    reach: &'a [f32],
    outputs: Range<usize>,
    out: SharedSlice,
}

impl Kernel for Spread<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { joint, .. } = self;
        let (taps, g) = (joint.taps(), &joint.shape);
        let (pixels, wide) = (g.oh * g.ow, lanes(g.b));
        let of_vector: Vec<Tap> = (0..joint.d).map(|i| Tap { x: i * wide, w: i * taps }).collect();
        let of_taps: Vec<Tap> = (0..taps).map(|t| Tap { x: t * wide, w: t }).collect();
        let mut products = Scratch::new(taps * wide);
        let mut sums = Scratch::new(pixels * wide);
        for o in self.outputs {
            let weight = joint.parts(self.weight, o).1;
            // SAFETY: the machine has `S`, as promised.
            unsafe {
                rows::<S>(&of_vector, self.vectors, (weight, 1, taps), wide, &mut products);
                rows::<S>(&of_taps, &products, (self.reach, taps, pixels), wide, &mut sums);
            }
            for b in 0..g.b {
                // SAFETY: every output has its own maps.
                let map = unsafe { self.out.slice_mut((b * g.o + o) * pixels, pixels) };
                map.iter_mut().zip(sums[b..].iter().step_by(wide)).for_each(|(to, v)| *to = *v);
            }
        }
    }
}

/// Rows that are summed at once, of one register each: few enough for any kind.
const ROWS: usize = 9;

/// `y[i][p] = sum_t w[i w_row + w_t] x[p + x_t]` for all `count` rows and `wide` positions.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn rows<S: Simd>(
    taps: &[Tap],
    x: &[f32],
    (w, w_row, count): (&[f32], usize, usize),
    wide: usize,
    y: &mut [f32],
) {
    let furthest = taps.iter().fold((0, 0), |f, t| (t.x.max(f.0), t.w.max(f.1)));
    assert!(furthest.0 + wide <= x.len() && furthest.1 + count.saturating_sub(1) * w_row < w.len());
    assert!(count * wide <= y.len() && wide.is_multiple_of(S::LANES));
    for (i, p) in (0..count).step_by(ROWS).flat_map(|i| (0..wide).step_by(S::LANES).map(move |p| (i, p))) {
        // SAFETY: the machine has `S`, as promised; by the assertions, all reads and writes lie in their slices.
        unsafe {
            let tile = TapLoop {
                taps,
                x: x.as_ptr().add(p),
                w: w.as_ptr().add(i * w_row),
                w_row,
                y: y.as_mut_ptr().add(i * wide + p),
                y_row: wide,
                rows: ROWS.min(count - i),
            };
            tile.compute::<S, ROWS, 1>();
        }
    }
}

impl Op<3> for Joint {
    const NAME: &'static str = "joint_conv2d";
    type Saved = ();

    fn output(&self) -> Shape {
        let ConvShape { b, o, oh, ow, .. } = self.shape;
        (b, o, oh, ow).into()
    }

    fn forward(&self, [x, weight, bias]: [&[f32]; 3]) -> (Vec<f32>, ()) {
        let shape = &self.shape;
        let mut y = self.spread(weight);
        let sums = select::forward(shape, x, &self.of_map(weight), &Epilogue::bias(None));
        let epilogue = Epilogue { shift: Some(bias), act: self.act, residual: None };
        y.iter_mut().zip(&sums).for_each(|(y, s)| *y += s);
        (epilogue.finish_maps(shape, y), ())
    }

    fn backward(&self, pass: Pass<'_, 3, ()>) -> [Gradient; 3] {
        let ([x, weight, _], dims) = (pass.inputs, self.output());
        let before = activation_backward(self.act, dims.dims(), pass.output, pass.gradient);
        let dz = before.as_deref().unwrap_or(pass.gradient);
        [
            Gradient::of(pass.wanted[0], || select::input_gradient(&self.shape, dz, &self.of_map(weight))),
            Gradient::of(pass.wanted[1], || self.weight_gradient(x, dz)),
            Gradient::of(pass.wanted[2], || Channels::of(dims.dims()).sums(dz)),
        ]
    }
}
