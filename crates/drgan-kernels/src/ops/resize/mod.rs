use crate::cpu::rows;
use crate::cpu::{fill_uninit, is_fast, slice, with_scratch, with_values};
use crate::ops::pool::avg_pool2d;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Where an output pixel lies between two input pixels, and their weights.
#[derive(Clone, Copy, Debug)]
struct Between {
    lo: usize,
    hi: usize,
    w_lo: f64,
    w_hi: f64,
}

fn between(inp: usize, out: usize, align_corners: bool) -> Vec<Between> {
    let at = |o: usize| {
        let src = match (align_corners, out) {
            (true, 1) => 0.,
            (true, _) => o as f64 * (inp - 1) as f64 / (out - 1) as f64,
            (false, _) => ((o as f64 + 0.5) * inp as f64 / out as f64 - 0.5).max(0.),
        };
        let lo = (src.floor() as usize).min(inp - 1);
        let w_hi = src - lo as f64;
        Between { lo, hi: (lo + 1).min(inp - 1), w_lo: 1. - w_hi, w_hi }
    };
    (0..out).map(at).collect()
}

/// Bilinear resize without antialiasing, as PyTorch's `interpolate`.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; result: `(B, C, h, w)`.
///
/// # Errors
/// A side of 0.
pub fn resize_bilinear(x: &Tensor, h: usize, w: usize, align_corners: bool) -> Result<Tensor> {
    let (_, _, hi, wi) = x.dims4()?;
    if h * w * hi * wi == 0 {
        bail!("resize_bilinear: cannot resize {hi}x{wi} to {h}x{w}")
    }
    if !is_fast(x) {
        return reference_bilinear(x, h, w, align_corners);
    }
    let (rows, cols) = (between(hi, h, align_corners), between(wi, w, align_corners));
    x.contiguous()?.apply_op1(Bilinear { rows, cols })
}

/// Two rows are blended into one, whole, and the pixels of the output are blended from it.
struct Bilinear {
    rows: Vec<Between>,
    cols: Vec<Between>,
}

impl Bilinear {
    fn forward(&self, x: &[f32], w: usize, y: &mut [f32]) {
        with_scratch(w, |row| {
            for (at, y) in self.rows.iter().zip(y.chunks_exact_mut(self.cols.len())) {
                let (lo, hi) = (&x[at.lo * w..][..w], &x[at.hi * w..][..w]);
                rows::blend_row(lo, at.w_lo as f32, hi, at.w_hi as f32, row);
                for (y, at) in y.iter_mut().zip(&self.cols) {
                    *y = row[at.lo] * at.w_lo as f32 + row[at.hi] * at.w_hi as f32;
                }
            }
        });
    }

    fn backward(&self, dy: &[f32], w: usize, dx: &mut [f32]) {
        dx.fill(0.);
        with_scratch(w, |row| {
            for (at, dy) in self.rows.iter().zip(dy.chunks_exact(self.cols.len())) {
                row.fill(0.);
                for (dy, at) in dy.iter().zip(&self.cols) {
                    row[at.lo] += dy * at.w_lo as f32;
                    row[at.hi] += dy * at.w_hi as f32;
                }
                rows::add_row(row, at.w_lo as f32, &mut dx[at.lo * w..][..w]);
                rows::add_row(row, at.w_hi as f32, &mut dx[at.hi * w..][..w]);
            }
        });
    }
}

impl CustomOp1 for Bilinear {
    fn name(&self) -> &'static str {
        "resize_bilinear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (b, c, h, w) = layout.shape().dims4()?;
        let (x, out) = (slice(x, layout)?, self.rows.len() * self.cols.len());
        let maps = x.par_chunks_exact(h * w).enumerate();
        // SAFETY: each map is its task's own, and every pixel is assigned.
        let y = unsafe {
            fill_uninit(b * c * out, |y| {
                maps.for_each(|(i, x)| self.forward(x, w, y.slice_mut(i * out, out)))
            })
        };
        Ok((CpuStorage::F32(y), (b, c, self.rows.len(), self.cols.len()).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        let (b, c, h, w) = x.dims4()?;
        let (inp, out) = (h * w, self.rows.len() * self.cols.len());
        let dx = with_values([&dy], |[dy]| {
            let maps = dy.par_chunks_exact(out).enumerate();
            // SAFETY: each map is its task's own, and is filled before it is read.
            Ok(unsafe {
                fill_uninit(b * c * inp, |dx| {
                    maps.for_each(|(i, dy)| self.backward(dy, w, dx.slice_mut(i * inp, inp)));
                })
            })
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), &Device::Cpu)?))
    }
}

/// Plain-tensor form of [`resize_bilinear`]: two matrix products.
pub fn reference_bilinear(x: &Tensor, h: usize, w: usize, align_corners: bool) -> Result<Tensor> {
    let (b, c, hi, wi) = x.dims4()?;
    let along = |t: &Tensor, inp, out| -> Result<Tensor> {
        let mut matrix = vec![0f64; out * inp];
        for (row, at) in matrix.chunks_exact_mut(inp).zip(between(inp, out, align_corners)) {
            row[at.lo] += at.w_lo;
            row[at.hi] += at.w_hi;
        }
        let m = Tensor::from_vec(matrix, (out, inp), x.device())?.to_dtype(x.dtype())?;
        t.matmul(&m.t()?.contiguous()?)
    };
    let y = along(&x.contiguous()?.reshape((b * c * hi, wi))?, wi, w)?;
    let y = y.reshape((b, c, hi, w))?.transpose(2, 3)?.contiguous()?.reshape((b * c * w, hi))?;
    let y = along(&y, hi, h)?;
    y.reshape((b, c, w, h))?.transpose(2, 3)?.contiguous()
}

/// Shrinks by whole factors, each output the mean of its block of inputs.
///
/// # Shapes
/// `x`: `(B, C, H, W)` with `H` a multiple of `h` and `W` of `w`; result: `(B, C, h, w)`.
///
/// # Errors
/// Sides that do not divide.
pub fn resize_area(x: &Tensor, h: usize, w: usize) -> Result<Tensor> {
    let (_, _, hi, wi) = x.dims4()?;
    if h == 0 || w == 0 || hi % h != 0 || wi % w != 0 {
        bail!("resize_area: {hi}x{wi} is not a whole multiple of {h}x{w}")
    }
    if (hi, wi) == (h, w) {
        return Ok(x.clone());
    }
    if hi / h == wi / w {
        return avg_pool2d(x, hi / h, hi / h, 0);
    }
    reference_area(x, h, w)
}

/// Plain-tensor form of [`resize_area`].
pub fn reference_area(x: &Tensor, h: usize, w: usize) -> Result<Tensor> {
    let (b, c, hi, wi) = x.dims4()?;
    x.contiguous()?.reshape((b, c, h, hi / h, w, wi / w))?.mean((3, 5))
}
