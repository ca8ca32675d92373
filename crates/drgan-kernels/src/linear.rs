use crate::cpu::{Matrix, is_fast, slice, with_values, written};
use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// `x W^T`.
///
/// # Shapes
/// `x`: `(B, in)`; `weight`, W: `(out, in)`; result: `(B, out)`.
///
/// # Errors
/// Shapes that do not fit.
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let ((_, inp), (_, columns)) = (x.dims2()?, weight.dims2()?);
    if inp != columns {
        bail!("linear: weight: expected (out, {inp}), got {:?}", weight.dims())
    }
    if !(is_fast(x) && is_fast(weight)) || x.elem_count() * weight.elem_count() == 0 {
        return reference(x, weight);
    }
    x.contiguous()?.apply_op2(&weight.contiguous()?, Linear)
}

/// Rows or columns of the weight that a task takes.
const BLOCK: usize = 512;

/// Starts and lengths of blocks of `n`.
fn blocks(n: usize) -> impl ParallelIterator<Item = (usize, usize)> {
    (0..n.div_ceil(BLOCK)).into_par_iter().map(move |i| (i * BLOCK, BLOCK.min(n - i * BLOCK)))
}

/// The weight is read where it lies, by blocks; its gradient comes in its own order.
struct Linear;

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((b, inp), (out, _)) = (lx.shape().dims2()?, lw.shape().dims2()?);
        let (x, w) = (slice(x, lx)?, slice(w, lw)?);
        // SAFETY: blocks of columns cover the result, each is its task's own, and the product does not read them.
        let y = unsafe {
            written(b * out, |y| {
                blocks(out).for_each(|(from, n)| {
                    let w = Matrix::transposed(&w[from * inp..], inp);
                    y.gemm((b, n, inp), Matrix::rows(x, inp), w, from, out);
                });
            })
        };
        Ok((CpuStorage::F32(y), (b, out).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let ((b, inp), (out, _), dy) = (x.dims2()?, w.dims2()?, dy.contiguous()?);
        with_values([x, w, &dy], |[x_values, w_values, dy]| {
            // SAFETY (both): blocks cover the result, each is its task's own, and the product does not read them.
            let dx = x.track_op().then(|| unsafe {
                written(b * inp, |dx| {
                    blocks(inp).for_each(|(from, n)| {
                        let w = Matrix::rows(&w_values[from..], inp);
                        dx.gemm((b, n, out), Matrix::rows(dy, out), w, from, inp);
                    });
                })
            });
            let dw = w.track_op().then(|| unsafe {
                written(out * inp, |dw| {
                    blocks(out).for_each(|(from, n)| {
                        let dy = Matrix::transposed(&dy[from..], out);
                        dw.gemm((n, inp, b), dy, Matrix::rows(x_values, inp), from * inp, inp);
                    });
                })
            });
            let tensor = |values: Option<Vec<f32>>, like: &Tensor| {
                values.map(|values| Tensor::from_vec(values, like.shape(), &Device::Cpu)).transpose()
            };
            Ok((tensor(dx, x)?, tensor(dw, w)?))
        })
    }
}

/// Plain-tensor form of [`linear`].
pub fn reference(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.matmul(&weight.t()?)
}
