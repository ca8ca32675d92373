use crate::cpu::rows::{self, Affine};
use crate::cpu::{fill_uninit, is_fast, slice, with_values};
use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// `x sigmoid(scale logits)`: what a mask lets through. With `-scale` it is what the mask holds back, `x` without it.
///
/// # Shapes
/// `x` and `logits` alike; so is the result.
///
/// # Errors
/// Shapes that differ.
pub fn gate(x: &Tensor, logits: &Tensor, scale: f64) -> Result<Tensor> {
    if x.dims() != logits.dims() {
        bail!("gate: logits: expected {:?} as x, got {:?}", x.dims(), logits.dims())
    }
    if !(is_fast(x) && is_fast(logits)) {
        return reference(x, logits, scale);
    }
    x.contiguous()?.apply_op2(&logits.contiguous()?, Gate(scale as f32))
}

/// Values a task takes.
const CHUNK: usize = 1 << 14;

/// The mask is computed again for the gradient: cheaper than to keep it.
struct Gate(f32);

impl Gate {
    fn by(&self) -> Affine {
        Affine { scale: self.0, shift: 0. }
    }
}

impl CustomOp2 for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        logits: &CpuStorage,
        ll: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, logits) = (slice(x, lx)?, slice(logits, ll)?);
        // SAFETY: chunks cover all values, each is its task's own, and a row is written without being read.
        let y = unsafe {
            fill_uninit(x.len(), |out| {
                x.par_chunks(CHUNK).zip(logits.par_chunks(CHUNK)).enumerate().for_each(|(i, (x, l))| {
                    rows::gate_row(x, Affine::IDENTITY, l, self.by(), out.slice_mut(i * CHUNK, x.len()));
                });
            })
        };
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        logits: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let (dx, dl) = with_values([x, logits, &dy], |[x, logits, dy]| {
            let mut dl = Vec::new();
            // SAFETY (both): chunks cover all values, each is its task's own, and rows are written without being read.
            let dx = unsafe {
                fill_uninit(x.len(), |dx| {
                    dl = fill_uninit(x.len(), |dl| {
                        let chunks = x.par_chunks(CHUNK).zip(logits.par_chunks(CHUNK));
                        chunks.zip(dy.par_chunks(CHUNK)).enumerate().for_each(|(i, ((x, l), dy))| {
                            let (dx, dl) =
                                (dx.slice_mut(i * CHUNK, x.len()), dl.slice_mut(i * CHUNK, x.len()));
                            rows::gate_gradient_row(x, Affine::IDENTITY, l, self.by(), dy, dx, dl);
                            rows::scale_row(dl, self.0);
                        });
                    });
                })
            };
            Ok((dx, dl))
        })?;
        let tracked = |of: &Tensor, values| {
            of.track_op().then(|| Tensor::from_vec(values, of.shape(), &Device::Cpu)).transpose()
        };
        Ok((tracked(x, dx)?, tracked(logits, dl)?))
    }
}

/// Plain-tensor form of [`gate`].
pub fn reference(x: &Tensor, logits: &Tensor, scale: f64) -> Result<Tensor> {
    x * candle_nn::ops::sigmoid(&(logits * scale)?)?
}
