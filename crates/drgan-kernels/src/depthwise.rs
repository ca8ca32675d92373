use crate::conv2d::{Conv2dSpec, patches};
use crate::cpu::{is_fast, slice, with_scratch, with_values};
use crate::rows;
use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Depth-wise 2-D convolution: each channel with its own kernel.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `weight`: `(C, 1, kh, kw)`; result: `(B, C, H', W')`.
///
/// # Errors
/// Shapes that do not fit each other.
pub fn depthwise_conv2d(x: &Tensor, weight: &Tensor, spec: Conv2dSpec) -> Result<Tensor> {
    if !(is_fast(x) && is_fast(weight)) || weight.track_op() {
        return reference(x, weight, spec);
    }
    let ((b, c, h, w), (wc, one, kh, kw)) = (x.dims4()?, weight.dims4()?);
    if wc != c || one != 1 {
        bail!("depthwise_conv2d: weight: expected ({c}, 1, kh, kw), got {:?}", weight.dims())
    }
    let out = spec.output_size((h, w), (kh, kw))?;
    let op = Depthwise { spec, batch: b, channels: c, side: (h, w), kernel: (kh, kw), out };
    x.contiguous()?.apply_op2(&weight.contiguous()?, op)
}

/// Directly, a map at a time; the weight is a constant (with a weight that learns, the reference runs).
///
/// A map is copied once with its padding; seen as one long row, every tap is then a shifted copy of it. A stride is taken
/// when the result is copied out.
struct Depthwise {
    spec: Conv2dSpec,
    batch: usize,
    channels: usize,
    side: (usize, usize),
    kernel: (usize, usize),
    out: (usize, usize),
}

impl Depthwise {
    /// One map, from a padded one of rows `wp`.
    fn slide(&self, padded: &[f32], wp: usize, weight: &[f32], rows: usize, f: impl FnOnce(&[f32])) {
        let offsets: Vec<usize> =
            (0..weight.len()).map(|t| t / self.kernel.1 * wp + t % self.kernel.1).collect();
        // The last row ends where the last window starts.
        let n = rows * wp - (self.kernel.1 - 1);
        with_scratch(rows * wp, |made| {
            rows::slide_row(padded, &offsets, weight, &mut made[..n]);
            f(made);
        });
    }

    fn forward(&self, x: &[f32], weight: &[f32], y: &mut [f32]) {
        let ((h, w), (oh, ow), p, s) = (self.side, self.out, self.spec.padding, self.spec.stride);
        let (hp, wp) = (h + p.top + p.bottom, w + p.left + p.right);
        with_scratch(hp * wp, |padded| {
            padded.fill(0.);
            for (row, src) in padded.chunks_exact_mut(wp).skip(p.top).zip(x.chunks_exact(w)) {
                row[p.left..p.left + w].copy_from_slice(src);
            }
            self.slide(padded, wp, weight, (oh - 1) * s + 1, |made| {
                for (dst, row) in y.chunks_exact_mut(ow).zip(made.chunks(wp).step_by(s)) {
                    dst.iter_mut().zip(row.iter().step_by(s)).for_each(|(d, v)| *d = *v);
                }
            });
        });
    }

    /// The gradient of the input: the gradient of the output, spread out by the stride, under the turned kernel.
    fn backward(&self, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
        let ((h, w), (kh, kw), p, s) = (self.side, self.kernel, self.spec.padding, self.spec.stride);
        let (hp, wp) = (h + kh - 1, w + kw - 1);
        let turned: Vec<f32> = weight.iter().rev().copied().collect();
        // Where output `i` stands in the padded map, unless no window of the map reaches it.
        let place = |i: usize, k: usize, pad: usize, side: usize| {
            (i * s + k - 1).checked_sub(pad).filter(|at| *at < side)
        };
        with_scratch(hp * wp, |padded| {
            padded.fill(0.);
            for (y, row) in dy.chunks_exact(self.out.1).enumerate() {
                let Some(y) = place(y, kh, p.top, hp) else { continue };
                for (x, value) in row.iter().enumerate() {
                    if let Some(x) = place(x, kw, p.left, wp) {
                        padded[y * wp + x] = *value;
                    }
                }
            }
            self.slide(padded, wp, &turned, h, |made| {
                for (dst, row) in dx.chunks_exact_mut(w).zip(made.chunks(wp)) {
                    dst.copy_from_slice(&row[..w]);
                }
            });
        });
    }

    /// Runs `f(input map, kernel, output map)` for every map of `input`.
    fn each(
        &self,
        input: (&[f32], usize),
        weight: &[f32],
        output: (&mut [f32], usize),
        f: impl Fn(&[f32], &[f32], &mut [f32]) + Sync,
    ) {
        let taps = self.kernel.0 * self.kernel.1;
        output.0.par_chunks_exact_mut(output.1).enumerate().with_min_len(8).for_each(|(i, out)| {
            let kernel = &weight[i % self.channels * taps..][..taps];
            f(&input.0[i * input.1..][..input.1], kernel, out);
        });
    }

    /// Pixels of an input and of an output map.
    fn pixels(&self) -> (usize, usize) {
        (self.side.0 * self.side.1, self.out.0 * self.out.1)
    }
}

impl CustomOp2 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise_conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (inp, out) = self.pixels();
        let mut y = vec![0f32; self.batch * self.channels * out];
        self.each((slice(x, lx)?, inp), slice(w, lw)?, (&mut y, out), |x, k, y| self.forward(x, k, y));
        let shape = (self.batch, self.channels, self.out.0, self.out.1);
        Ok((CpuStorage::F32(y), shape.into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let (inp, out) = self.pixels();
        let mut dx = vec![0f32; x.elem_count()];
        with_values([w, &dy], |[weight, dy]| {
            self.each((dy, out), weight, (&mut dx, inp), |dy, k, dx| self.backward(dy, k, dx));
            Ok(())
        })?;
        Ok((Some(Tensor::from_vec(dx, x.shape(), &Device::Cpu)?), None))
    }
}

/// Plain-tensor form of [`depthwise_conv2d`].
pub fn reference(x: &Tensor, weight: &Tensor, spec: Conv2dSpec) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let (wc, one, kh, kw) = weight.dims4()?;
    if wc != c || one != 1 {
        bail!("depthwise_conv2d: weight: expected ({c}, 1, kh, kw), got {:?}", weight.dims())
    }
    let (oh, ow) = spec.output_size((h, w), (kh, kw))?;
    let cols = patches(x, (kh, kw), spec, (oh, ow))?; // (B, C, kh kw, oh ow)
    cols.broadcast_mul(&weight.reshape((1, c, kh * kw, 1))?)?.sum(2)?.reshape((b, c, oh, ow))
}
