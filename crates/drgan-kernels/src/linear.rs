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
        let y = forward(slice(x, lx)?, slice(w, lw)?, (b, inp, out));
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
            let dx = x.track_op().then(|| input_gradient(dy, w_values, (b, inp, out)));
            let dw = w.track_op().then(|| weight_gradient(x_values, dy, (b, inp, out)));
            let tensor = |values: Option<Vec<f32>>, like: &Tensor| {
                values.map(|values| Tensor::from_vec(values, like.shape(), &Device::Cpu)).transpose()
            };
            Ok((tensor(dx, x)?, tensor(dw, w)?))
        })
    }
}

/// Batch, inputs, outputs.
type Sizes = (usize, usize, usize);

/// `x W^T`, `(b, out)`.
pub(crate) fn forward(x: &[f32], w: &[f32], (b, inp, out): Sizes) -> Vec<f32> {
    // SAFETY: blocks of columns cover the result, each is its task's own, and the product does not read them.
    unsafe {
        written(b * out, |y| {
            blocks(out).for_each(|(from, n)| {
                let w = Matrix::transposed(&w[from * inp..], inp);
                y.gemm((b, n, inp), Matrix::rows(x, inp), w, from, out);
            });
        })
    }
}

/// Gradient of `x`, `(b, inp)`.
pub(crate) fn input_gradient(dy: &[f32], w: &[f32], (b, inp, out): Sizes) -> Vec<f32> {
    // SAFETY: as in `forward`.
    unsafe {
        written(b * inp, |dx| {
            blocks(inp).for_each(|(from, n)| {
                dx.gemm((b, n, out), Matrix::rows(dy, out), Matrix::rows(&w[from..], inp), from, inp);
            });
        })
    }
}

/// Gradient of W, `(out, inp)`.
pub(crate) fn weight_gradient(x: &[f32], dy: &[f32], (b, inp, out): Sizes) -> Vec<f32> {
    // SAFETY: as in `forward`, with blocks of rows.
    unsafe {
        written(out * inp, |dw| {
            blocks(out).for_each(|(from, n)| {
                let dy = Matrix::transposed(&dy[from..], out);
                dw.gemm((n, inp, b), dy, Matrix::rows(x, inp), from * inp, inp);
            });
        })
    }
}

/// Plain-tensor form of [`linear`].
pub fn reference(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.matmul(&weight.t()?)
}
