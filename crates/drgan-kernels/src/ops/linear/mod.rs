use crate::cpu::simd::{Dots, Isa, Kernel, Simd, Tap, dispatch};
use crate::cpu::{Matrix, SharedSlice, fill_uninit, is_fast, slice, with_values};
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
    assert!(x.len() == b * inp && w.len() == out * inp, "linear: {b}x{inp} by {out}x{inp}");
    let isa = Isa::best();
    let mut y = vec![0f32; b * out];
    let to = SharedSlice::new(&mut y);
    (0..out.div_ceil(OUTPUTS))
        .into_par_iter()
        .with_min_len((WORK / (b * inp * OUTPUTS).max(1)).max(1))
        .for_each(|i| {
            let outputs = (i * OUTPUTS, OUTPUTS.min(out - i * OUTPUTS));
            dispatch(isa, OutputDots { x, w, sizes: (b, inp, out), outputs, to });
        });
    y
}

/// Outputs whose weights stay in the first cache while the batch goes by; a task takes at least so many.
const OUTPUTS: usize = 4;
/// Products of a task, at least.
const WORK: usize = 1 << 18;

/// Some outputs: both factors lie in memory along the sum, so that neither need be put in another order first.
struct OutputDots<'a> {
    x: &'a [f32],
    w: &'a [f32],
    sizes: Sizes,
    /// The first, and how many: at most four.
    outputs: (usize, usize),
    to: SharedSlice,
}

impl Kernel for OutputDots<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, w, sizes: (b, inp, out), outputs: (first, count), to } = self;
        let whole = inp / S::LANES * S::LANES;
        // Where there are fewer than four, the last stands for those that are missing, and only it is added.
        let taps: [Tap; OUTPUTS] = std::array::from_fn(|t| Tap { x: (first + t.min(count - 1)) * inp, w: t });
        for row in (0..b).step_by(S::DOT4_ROWS) {
            let rows = S::DOT4_ROWS.min(b - row);
            let mut sums = [0f32; OUTPUTS * MOST_ROWS];
            assert!(rows <= MOST_ROWS);
            // SAFETY: the machine has `S`, as promised; rows of `x` and of `w` have `whole` values, and `sums` four a row.
            unsafe {
                S::dot4(Dots {
                    n: whole,
                    a: x.as_ptr().add(row * inp),
                    a_row: inp,
                    x: w.as_ptr(),
                    taps: &taps,
                    out: sums.as_mut_ptr(),
                    out_row: OUTPUTS,
                    rows,
                });
            }
            for (r, sums) in sums.chunks_exact(OUTPUTS).enumerate().take(rows) {
                // SAFETY: every task has its own outputs.
                let y = unsafe { to.slice_mut((row + r) * out + first, count) };
                for (t, (y, sum)) in y.iter_mut().zip(sums).enumerate() {
                    let rest = (whole..inp).map(|k| x[(row + r) * inp + k] * w[(first + t) * inp + k]);
                    *y = sum + rest.sum::<f32>();
                }
            }
        }
    }
}

/// Rows that any kind of register takes at once, at most.
const MOST_ROWS: usize = 6;

/// Gradient of `x`, `(b, inp)`.
pub(crate) fn input_gradient(dy: &[f32], w: &[f32], (b, inp, out): Sizes) -> Vec<f32> {
    // SAFETY: as in `forward`.
    unsafe {
        fill_uninit(b * inp, |dx| {
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
        fill_uninit(out * inp, |dw| {
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
