//! The linear map: the weight is read where it lies, by blocks; its gradient comes in its own order.
use crate::cpu::gemm::Matrix;
use crate::cpu::shared_slice::{SharedSlice, fill_uninit};
use crate::cpu::simd::{Dots, Isa, Kernel, Simd, Tap, dispatch};
use crate::op::{Gradient, Op, Pass};
use candle_core::Shape;
use rayon::prelude::*;

/// Rows or columns of the weight that a task takes.
const BLOCK: usize = 512;

/// Starts and lengths of blocks of `n`.
fn blocks(n: usize) -> impl ParallelIterator<Item = (usize, usize)> {
    (0..n.div_ceil(BLOCK)).into_par_iter().map(move |i| (i * BLOCK, BLOCK.min(n - i * BLOCK)))
}

/// A linear map of these sizes.
pub(super) struct Linear(pub(super) Sizes);

impl Op<2> for Linear {
    const NAME: &'static str = "linear";
    type Saved = ();

    fn output(&self) -> Shape {
        let (b, _, out) = self.0;
        (b, out).into()
    }

    fn forward(&self, [x, w]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        (forward(x, w, self.0), ())
    }

    fn backward(&self, pass: Pass<'_, 2, ()>) -> [Gradient; 2] {
        let ([x, w], dy) = (pass.inputs, pass.gradient);
        [
            Gradient::of(pass.wanted[0], || input_gradient(dy, w, self.0)),
            Gradient::of(pass.wanted[1], || weight_gradient(x, dy, self.0)),
        ]
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

/// Outputs whose weights stay in the L1 cache while the batch goes by; a task takes at least so many.
const OUTPUTS: usize = 4;
/// Products of a task, at least.
const WORK: usize = 1 << 18;

/// Some outputs: both factors lie in memory along the sum, so that neither has to be reordered first.
struct OutputDots<'a> {
    x: &'a [f32],
    w: &'a [f32],
    sizes: Sizes,
    /// The first output, and the number of outputs: at most four.
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
            // SAFETY: the machine has `S`, as promised; rows of `x` and of `w` have `whole` values, and `sums` four per row.
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

/// Rows that any register type takes at once, at most.
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
