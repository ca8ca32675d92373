use crate::conv2d::{Conv2dSpec, patches};
use crate::cpu::{is_fast, slice, with_values};
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
struct Depthwise {
    spec: Conv2dSpec,
    batch: usize,
    channels: usize,
    side: (usize, usize),
    kernel: (usize, usize),
    out: (usize, usize),
}

impl Depthwise {
    /// Calls `f(input row, output row, columns of the input, columns of the output, weight)` for every tap and row that
    /// meet inside the picture; columns as `(start, step)` of the input and `start..end` of the output.
    fn taps(&self, weight: &[f32], mut f: impl FnMut(usize, usize, usize, std::ops::Range<usize>, f32)) {
        let ((h, w), (oh, ow), p, s) = (self.side, self.out, self.spec.padding, self.spec.stride);
        for (k, value) in weight.iter().enumerate() {
            let (u, v) = (k / self.kernel.1, k % self.kernel.1);
            let lo = p.left.saturating_sub(v).div_ceil(s).min(ow);
            let hi = (w + p.left).saturating_sub(v).div_ceil(s).clamp(lo, ow);
            if lo == hi {
                continue;
            }
            for y in 0..oh {
                let iy = y * s + u;
                if iy >= p.top && iy < h + p.top {
                    f(iy - p.top, y, lo * s + v - p.left, lo..hi, *value);
                }
            }
        }
    }

    fn sizes(&self) -> (usize, usize, usize) {
        (self.side.0 * self.side.1, self.out.0 * self.out.1, self.kernel.0 * self.kernel.1)
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
        let (x, weight) = (slice(x, lx)?, slice(w, lw)?);
        let (inp, out, taps) = self.sizes();
        let mut y = vec![0f32; self.batch * self.channels * out];
        let (w, ow, s) = (self.side.1, self.out.1, self.spec.stride);
        y.par_chunks_exact_mut(out).enumerate().with_min_len(8).for_each(|(i, y)| {
            let plane = &x[i * inp..][..inp];
            self.taps(&weight[i % self.channels * taps..][..taps], |iy, oy, from, cols, value| {
                let src = plane[iy * w + from..(iy + 1) * w].iter().step_by(s);
                let dst = &mut y[oy * ow..][cols];
                dst.iter_mut().zip(src).for_each(|(d, s)| *d += value * s);
            });
        });
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
        let (inp, out, taps) = self.sizes();
        let (width, ow, s) = (self.side.1, self.out.1, self.spec.stride);
        let mut dx = vec![0f32; x.elem_count()];
        with_values([w, &dy], |[weight, dy]| {
            dx.par_chunks_exact_mut(inp).enumerate().with_min_len(8).for_each(|(i, dx)| {
                let plane = &dy[i * out..][..out];
                self.taps(&weight[i % self.channels * taps..][..taps], |iy, oy, from, cols, value| {
                    let src = &plane[oy * ow..][cols];
                    let dst = dx[iy * width + from..(iy + 1) * width].iter_mut().step_by(s);
                    dst.zip(src).for_each(|(d, s)| *d += value * s);
                });
            });
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
