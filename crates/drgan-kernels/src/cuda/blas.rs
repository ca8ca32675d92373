//! cuBLAS, by candle's handle, which belongs to the one stream.
use super::Queue;
use super::launch::Work;
use super::product::{Factor, Product, Target};
use crate::precision::Precision;
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::{Result, bail};

impl Queue {
    /// Enqueues `c = op(a) op(b)`: one launch.
    ///
    /// # Errors
    /// Matrices beyond the values that they lie in, or beyond an `int`; what cuBLAS says.
    pub(crate) fn product(&self, p: Product, a: Factor<'_>, b: Factor<'_>, c: Target<'_>) -> Result<()> {
        let Product { m, n, k, times, add } = p;
        if m == 0 || n == 0 || times == 0 {
            return Ok(());
        }
        let held = c.values.view();
        let result = Factor { values: held, from: c.from, row: c.row, step: c.step, transposed: false };
        for (name, x, (rows, columns)) in [("a", &a, (m, k)), ("b", &b, (k, n)), ("c", &result, (m, n))] {
            let (rows, columns) = if x.transposed { (columns, rows) } else { (rows, columns) };
            let end = x.from + (times - 1) * x.step + rows.saturating_sub(1) * x.row + columns;
            if end > x.values.len() || columns > x.row {
                bail!("a product's matrix {name}, {x:?}, of {p:?} does not lie in its values")
            }
        }
        let int = |n: usize| match i32::try_from(n) {
            Ok(n) => Ok(n),
            Err(_) => bail!("a product of {m} x {k} and {k} x {n} is too large for a CUDA device"),
        };
        let op = |x: &Factor<'_>| {
            if x.transposed {
                sys::cublasOperation_t::CUBLAS_OP_T
            } else {
                sys::cublasOperation_t::CUBLAS_OP_N
            }
        };
        let at = |x: &Factor<'_>| x.values.address() + 4 * x.from as u64;
        let (one, before) = (1f32, f32::from(u8::from(add)));
        let compute = match self.precision {
            Precision::F32 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            Precision::Tf32 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
            Precision::Bf16 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_16BF,
        };
        let (f32, blas) = (sys::cudaDataType_t::CUDA_R_32F, self.device.cublas_handle());
        let sizes = (int(n)?, int(m)?, int(k)?, int(times)?);
        let rows = (int(a.row)?, int(b.row)?, int(c.row)?);
        self.device.cuda_stream().context().bind_to_thread().w()?;
        // SAFETY: the matrices lie in memory of the device, as was checked above, and work that is enqueued in one stream
        // has read and written them before they are freed. Matrices in rows are transposed ones in columns, which cuBLAS
        // wants: the factors change places.
        let enqueue = || unsafe {
            result::gemm_strided_batched_ex(
                *blas.handle(),
                op(&b),
                op(&a),
                sizes.0,
                sizes.1,
                sizes.2,
                (&raw const one).cast(),
                at(&b) as *const _,
                f32,
                rows.1,
                b.step as i64,
                at(&a) as *const _,
                f32,
                rows.0,
                a.step as i64,
                (&raw const before).cast(),
                at(&result) as *mut _,
                f32,
                rows.2,
                c.step as i64,
                sizes.3,
                compute,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT_TENSOR_OP,
            )
        };
        let values = if a.step == 0 { m * k } else { times * m * k }
            + if b.step == 0 { k * n } else { times * k * n }
            + times * m * n;
        let work = Work { bytes: 4 * values as u64, operations: 2 * (times * m * n * k) as u64 };
        self.timed("cublas product", work, || enqueue().w())
    }
}
