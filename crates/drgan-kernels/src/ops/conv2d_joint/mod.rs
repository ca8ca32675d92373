//! A convolution of a map beside a vector that stands at every pixel, without the copies of the vector.
//!
//! What the vector adds to an output pixel is the sum, over the taps that lie inside the map there, of one product a tap: so
//! these are computed once for all pixels, and a border is the only place where sums differ.
use crate::cpu::simd::{Isa, Kernel, Simd, Tap, TapLoop, dispatch};
use crate::cpu::{Scratch, SharedSlice, is_fast, slice, with_values};
use crate::ops::activation::{self, Activation};
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::cpu::select;
use crate::ops::conv2d::op::{activation_backward, gradient_from_output};
use crate::ops::conv2d::shape::ConvShape;
use crate::ops::conv2d::{Conv2dSpec, reference::conv2d as reference};
use crate::ops::linear;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use std::ops::Range;

/// `act(conv2d([x, v at every pixel]) + bias)`: a convolution of channels joined to a vector, as conditional discriminators
/// do it.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `vector`, v: `(B, D)`; `weight`: `(O, C + D, kh, kw)`; `bias`: `(O,)`; result: as
/// [`conv2d_act`](crate::conv2d_act).
///
/// # Errors
/// Shapes that do not fit each other.
pub fn joint_conv2d(
    x: &Tensor,
    vector: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    act: Activation,
    spec: Conv2dSpec,
) -> Result<Tensor> {
    let ((b, c, ..), (rows, d), (o, joined, ..)) = (x.dims4()?, vector.dims2()?, weight.dims4()?);
    if rows != b || joined != c + d || bias.dims() != [o] {
        bail!(
            "joint_conv2d: expected a vector ({b}, D), a weight (O, {c} + D, kh, kw) and a bias (O,), got {:?}, {:?}, {:?}",
            vector.dims(),
            weight.dims(),
            bias.dims()
        )
    }
    let fast = [x, vector, weight, bias].into_iter().all(is_fast);
    if !fast || vector.track_op() || b * c * d == 0 || !gradient_from_output(act) {
        return reference_joint(x, vector, weight, bias, act, spec);
    }
    let narrow = weight.narrow(1, 0, c)?;
    let vectors = vector.flatten_all()?.to_vec1()?;
    let op = Joint { g: ConvShape::new(x.shape(), narrow.shape(), spec, false)?, d, vectors, act };
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)
}

/// Plain-tensor form of [`joint_conv2d`].
pub fn reference_joint(
    x: &Tensor,
    vector: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    act: Activation,
    spec: Conv2dSpec,
) -> Result<Tensor> {
    let ((b, c, h, w), d) = (x.dims4()?, vector.dim(1)?);
    let spread = vector.reshape((b, d, 1, 1))?.broadcast_as((b, d, h, w))?;
    // A convolution of joined channels is the sum of their convolutions.
    let of_map = reference(x, &weight.narrow(1, 0, c)?, Some(bias), spec)?;
    let of_vector = reference(&spread, &weight.narrow(1, c, d)?, None, spec)?;
    activation::reference(&(of_map + of_vector)?, act)
}

/// The vectors are constants; with some that learn, the reference runs.
struct Joint {
    /// Of the map alone.
    g: ConvShape,
    d: usize,
    vectors: Vec<f32>,
    act: Activation,
}

impl Joint {
    fn taps(&self) -> usize {
        self.g.kh * self.g.kw
    }

    /// An output's weights: of the map, of the vector.
    fn parts<'a>(&self, weight: &'a [f32], o: usize) -> (&'a [f32], &'a [f32]) {
        let row = (self.g.c + self.d) * self.taps();
        weight[o * row..][..row].split_at(self.g.c * self.taps())
    }

    /// The map's weights, side by side.
    fn of_map(&self, weight: &[f32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.g.o * self.g.c * self.taps());
        (0..self.g.o).for_each(|o| out.extend_from_slice(self.parts(weight, o).0));
        out
    }

    /// Batch, vector and taps of all outputs: sizes of the linear map that the vector's weights are.
    fn sizes(&self) -> (usize, usize, usize) {
        (self.g.b, self.d, self.g.o * self.taps())
    }

    /// Which taps lie inside the map at which output pixels, as a matrix of ones and zeros, `(pixels, taps)`.
    fn reach(&self) -> Vec<f32> {
        let (g, p, taps) = (&self.g, self.g.padding, self.taps());
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
        (self.g.b * self.g.o, self.taps(), self.g.oh * self.g.ow)
    }

    /// What the vectors add to every pixel, `(B, O, oh, ow)`.
    fn spread(&self, weight: &[f32]) -> Vec<f32> {
        let (b, d) = (self.g.b, self.d);
        let mut vectors = vec![0f32; d * lanes(b)]; // (D, B), what a register reads behind B zero
        for (i, row) in vectors.chunks_exact_mut(lanes(b)).enumerate() {
            row.iter_mut().zip(self.vectors[i..].iter().step_by(d)).for_each(|(to, v)| *to = *v);
        }
        let (isa, reach, pixels) = (Isa::best(), self.reach(), self.g.oh * self.g.ow);
        let mut y = vec![0f32; b * self.g.o * pixels];
        let out = SharedSlice::new(&mut y);
        (0..self.g.o.div_ceil(OUTPUTS)).into_par_iter().with_max_len(1).for_each(|block| {
            let outputs = block * OUTPUTS..self.g.o.min((block + 1) * OUTPUTS);
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
        let (g, taps, d) = (&self.g, self.taps(), self.d);
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

/// Outputs of a task.
const OUTPUTS: usize = 16;
/// Values that every kind of register divides.
const LANES: usize = 16;

/// Pictures side by side in registers.
fn lanes(b: usize) -> usize {
    b.next_multiple_of(LANES)
}

/// [`Joint::spread`] of some outputs, a picture a lane: products of each tap, then their sums at each pixel.
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
        let (taps, g) = (joint.taps(), &joint.g);
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

impl CustomOp3 for Joint {
    fn name(&self) -> &'static str {
        "conv2d beside a vector"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        bias: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (g, weight) = (&self.g, slice(w, lw)?);
        let mut y = self.spread(weight);
        let sums = select::forward(g, slice(x, lx)?, &self.of_map(weight), &Epilogue::bias(None));
        let epilogue = Epilogue { shift: Some(slice(bias, lb)?), act: self.act, residual: None };
        y.iter_mut().zip(&sums).for_each(|(y, s)| *y += s);
        Ok((CpuStorage::F32(epilogue.finish_maps(g, y)), (g.b, g.o, g.oh, g.ow).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dz, db) = activation_backward(self.act, y, dy, bias.track_op())?;
        with_values([x, weight, &dz], |[x_values, w_values, dz]| {
            let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
            let dx = x.track_op().then(|| select::input_gradient(&self.g, dz, &self.of_map(w_values)));
            let dw = weight.track_op().then(|| self.weight_gradient(x_values, dz));
            Ok((
                dx.map(|dx| tensor(dx, x)).transpose()?,
                dw.map(|dw| tensor(dw, weight)).transpose()?,
                db.map(|db| tensor(db, bias)).transpose()?,
            ))
        })
    }
}
