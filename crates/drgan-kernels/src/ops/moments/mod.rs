use crate::cpu::channels::Channels;
use crate::cpu::rows::{self, Affine};
use crate::cpu::{fill_uninit, is_fast, slice, with_values};
use crate::ops::activation::Activation;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Mean and population variance of each channel, over every axis but 1.
///
/// # Shapes
/// `x`: `(B, C, ...)`, not empty; both results `(C,)`.
///
/// # Errors
/// Another rank; no values.
pub fn moments(x: &Tensor) -> Result<(Tensor, Tensor)> {
    if x.rank() < 2 || x.elem_count() == 0 {
        bail!("moments: x: expected (B, C, ...) with values, got {:?}", x.dims())
    }
    if !is_fast(x) {
        return reference(x);
    }
    let both = x.contiguous()?.apply_op1(Moments)?; // (2, C)
    Ok((both.get(0)?, both.get(1)?))
}

/// Mean and population variance of channel `c`, in two passes.
pub(crate) fn of_channel(planes: &Channels, x: &[f32], c: usize) -> (f32, f32) {
    let n = (planes.b * planes.plane) as f64;
    let over = |f: &dyn Fn(&[f32]) -> f64| (0..planes.b).map(|b| f(planes.row(x, b, c))).sum::<f64>() / n;
    let mean = over(&|row| rows::sum_row(row, 0.)) as f32;
    (mean, over(&|row| rows::product_row(row, mean, row, mean)) as f32)
}

struct Moments;

impl CustomOp1 for Moments {
    fn name(&self) -> &'static str {
        "moments"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, planes) = (slice(x, layout)?, Channels::of(layout.dims()));
        let (mean, var): (Vec<f32>, Vec<f32>) =
            (0..planes.c).into_par_iter().map(|c| of_channel(&planes, x, c)).unzip();
        Ok((CpuStorage::F32([mean, var].concat()), (2, planes.c).into()))
    }

    /// `(dmean + 2 (x - mean) dvar) / n`, a line through `x`.
    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (dy, planes) = (dy.contiguous()?, Channels::of(x.dims()));
        let n = (planes.b * planes.plane) as f32;
        let dx = with_values([x, y, &dy], |[x, y, dy]| {
            let row = |i: usize, dx: &mut [f32]| {
                let (b, c) = (i / planes.c, i % planes.c);
                let slope = 2. * dy[planes.c + c] / n;
                let by = Affine { scale: slope, shift: dy[c] / n - slope * y[c] };
                rows::activate_row(Activation::Identity, planes.row(x, b, c), by, dx);
            };
            // SAFETY: rows cover all values, each is its task's own and is written without being read.
            Ok(unsafe {
                fill_uninit(x.len(), |out| {
                    (0..planes.b * planes.c)
                        .into_par_iter()
                        .with_min_len(planes.rows_per_task())
                        .for_each(|i| row(i, out.slice_mut(i * planes.plane, planes.plane)));
                })
            })
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), &Device::Cpu)?))
    }
}

/// Plain-tensor form of [`moments`].
pub fn reference(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let flat = x.transpose(0, 1)?.flatten_from(1)?.contiguous()?; // (C, B ...)
    let mean = flat.mean_keepdim(1)?;
    let var = flat.broadcast_sub(&mean)?.sqr()?.mean(1)?;
    Ok((mean.squeeze(1)?, var))
}
