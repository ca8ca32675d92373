//! A convolution of a map beside a vector that stands at every pixel, without the copies of the vector.
//!
//! What the vector adds to an output pixel is the sum, over the taps that lie inside the map there, of one product a tap: so
//! these are computed once for all pixels, and a border is the only place where sums differ.
use super::epilogue::Epilogue;
use super::im2col::Geometry;
use super::op::{behind_activation, is_found_by_result};
use super::{Conv2dSpec, geometry, method, reference};
use crate::activation::{self, Activation};
use crate::cpu::{Disjoint, Matrix, gemm, is_fast, slice, with_values};
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
        (0..self.g.o).flat_map(|o| self.parts(weight, o).0).copied().collect()
    }

    /// Output pixels whose tap lies inside the map, for each tap.
    fn reached(&self) -> Vec<Vec<usize>> {
        let (g, p) = (&self.g, self.g.padding);
        let inside = |at: usize, tap: usize, padding: usize, side: usize| {
            (at * g.stride + tap).checked_sub(padding).is_some_and(|at| at < side)
        };
        let of_tap = |(u, v): (usize, usize)| {
            let pixels = (0..g.oh * g.ow)
                .filter(|i| inside(i / g.ow, u, p.top, g.h) && inside(i % g.ow, v, p.left, g.w));
            pixels.collect()
        };
        (0..self.taps()).map(|t| of_tap((t / g.kw, t % g.kw))).collect()
    }

    /// What vectors and bias add to every pixel, `(B, O, oh, ow)`.
    fn spread(&self, weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let (g, taps, reached) = (&self.g, self.taps(), self.reached());
        let pixels = g.oh * g.ow;
        let mut y = vec![0f32; g.b * g.o * pixels];
        let out = Disjoint::new(&mut y);
        (0..g.o).into_par_iter().for_each(|o| {
            let mut products = vec![0f32; g.b * taps];
            let weight = Matrix::rows(self.parts(weight, o).1, taps);
            gemm(
                (g.b, taps, self.d),
                Matrix::rows(&self.vectors, self.d),
                weight,
                &mut products,
                taps,
                false,
            );
            for (b, products) in products.chunks_exact(taps).enumerate() {
                // SAFETY: every output has its own maps.
                let map = unsafe { out.part((b * g.o + o) * pixels, pixels) };
                map.fill(bias[o]);
                for (product, pixels) in products.iter().zip(&reached) {
                    pixels.iter().for_each(|i| map[*i] += product);
                }
            }
        });
        y
    }

    /// Of each output `(b, tap)`: the sum of `dz` over the pixels that the tap reaches.
    fn tap_sums(&self, dz: &[f32]) -> Vec<f32> {
        let (g, taps, reached) = (&self.g, self.taps(), self.reached());
        let pixels = g.oh * g.ow;
        let mut sums = vec![0f32; g.o * g.b * taps];
        sums.par_chunks_exact_mut(g.b * taps).enumerate().for_each(|(o, sums)| {
            for (b, sums) in sums.chunks_exact_mut(taps).enumerate() {
                let map = &dz[(b * g.o + o) * pixels..][..pixels];
                for (sum, pixels) in sums.iter_mut().zip(&reached) {
                    *sum = pixels.iter().map(|i| map[*i]).sum();
                }
            }
        });
        sums
    }

    /// Gradient of the weight, both parts in their places.
    fn weight_gradient(&self, x: &[f32], dz: &[f32]) -> Vec<f32> {
        let (g, taps) = (&self.g, self.taps());
        let (of_map, sums) = (method::weight_gradient(g, x, dz), self.tap_sums(dz));
        let (each, row) = (g.c * taps, (g.c + self.d) * taps);
        let mut dw = vec![0f32; g.o * row];
        dw.par_chunks_exact_mut(row).enumerate().for_each(|(o, dw)| {
            let (map, vector) = dw.split_at_mut(each);
            map.copy_from_slice(&of_map[o * each..][..each]);
            let sums = Matrix::rows(&sums[o * g.b * taps..], taps);
            gemm((self.d, taps, g.b), Matrix::transposed(&self.vectors, self.d), sums, vector, taps, false);
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
        let mut y = self.spread(weight, slice(bias, lb)?);
        let sums = method::forward(g, slice(x, lx)?, &self.of_map(weight), &Epilogue::bias(None));
        let epilogue = Epilogue { shift: None, act: self.act, plus: None };
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
