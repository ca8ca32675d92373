//! A convolution of a map beside a vector that stands at every pixel, without the copies of the vector.
//!
//! What the vector adds to an output pixel is the sum, over the taps that lie inside the map there, of one product a tap: so
//! these are computed once for all pixels, and a border is the only place where sums differ.
use super::epilogue::Epilogue;
use super::im2col::Geometry;
use super::op::{behind_activation, is_found_by_result};
use super::{Conv2dSpec, geometry, method, reference};
use crate::activation::{self, Activation};
use crate::cpu::{is_fast, slice, with_values};
use crate::linear;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// `act(conv2d([x, v at every pixel]) + bias)`: a convolution of channels joined to a vector, as conditional discriminators
/// do it.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `vector`, v: `(B, D)`; `weight`: `(O, C + D, kh, kw)`; `bias`: `(O,)`; result: as
/// [`conv2d_act`](super::conv2d_act).
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
    if !fast || vector.track_op() || b * c * d == 0 || !is_found_by_result(act) {
        return reference_joint(x, vector, weight, bias, act, spec);
    }
    let narrow = weight.narrow(1, 0, c)?;
    let vectors = vector.flatten_all()?.to_vec1()?;
    let op = Joint { g: geometry(x, &narrow, spec, false)?, d, vectors, act };
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
    let ((b, _, h, w), d) = (x.dims4()?, vector.dim(1)?);
    let spread = vector.reshape((b, d, 1, 1))?.broadcast_as((b, d, h, w))?;
    let joined = Tensor::cat(&[x, &spread], 1)?;
    activation::reference(&reference(&joined, weight, Some(bias), spec)?, act)
}

/// The vectors are constants; with some that learn, the reference runs.
struct Joint {
    /// Of the map alone.
    g: Geometry,
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

    /// The vector's weights as those of a linear map to outputs and taps, `(O taps, D)`.
    fn of_vector(&self, weight: &[f32]) -> Vec<f32> {
        let (taps, d) = (self.taps(), self.d);
        let mut out = vec![0f32; self.g.o * taps * d];
        out.par_chunks_exact_mut(taps * d).enumerate().for_each(|(o, out)| {
            let weight = self.parts(weight, o).1;
            for (i, weight) in weight.chunks_exact(taps).enumerate() {
                out[i..].iter_mut().step_by(d).zip(weight).for_each(|(to, w)| *to = *w);
            }
        });
        out
    }

    /// Sizes of that linear map.
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
        let products = linear::forward(&self.vectors, &self.of_vector(weight), self.sizes()); // (B, O taps)
        linear::forward(&products, &self.reach(), self.reach_sizes())
    }

    /// Of each tap, the sum of `dz` over the pixels that reach it, `(B, O taps)`.
    fn tap_sums(&self, dz: &[f32]) -> Vec<f32> {
        linear::input_gradient(dz, &self.reach(), self.reach_sizes())
    }

    /// Gradient of the weight, both parts in their places.
    fn weight_gradient(&self, x: &[f32], dz: &[f32]) -> Vec<f32> {
        let (g, taps, d) = (&self.g, self.taps(), self.d);
        let of_map = method::weight_gradient(g, x, dz);
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
        let sums = method::forward(g, slice(x, lx)?, &self.of_map(weight), &Epilogue::bias(None));
        let epilogue = Epilogue { shift: Some(slice(bias, lb)?), act: self.act, plus: None };
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
        let (dz, db) = behind_activation(self.act, y, dy, bias.track_op())?;
        with_values([x, weight, &dz], |[x_values, w_values, dz]| {
            let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
            let dx = x.track_op().then(|| method::input_gradient(&self.g, dz, &self.of_map(w_values)));
            let dw = weight.track_op().then(|| self.weight_gradient(x_values, dz));
            Ok((
                dx.map(|dx| tensor(dx, x)).transpose()?,
                dw.map(|dw| tensor(dw, weight)).transpose()?,
                db.map(|db| tensor(db, bias)).transpose()?,
            ))
        })
    }
}
