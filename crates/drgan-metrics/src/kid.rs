//! Kernel Inception Distance (KID): unbiased squared maximum mean discrepancy of two feature sets.
use candle_core::{DType, Tensor};
use drgan_tensor::{Error, Result, expect_shape};

/// Rows of the kernel matrix that are computed at once.
const BLOCK: usize = 256;

/// Sum of `(x_i . y_j / d + 1)^3` over all pairs, and over `i = j` alone.
fn sums(x: &Tensor, y: &Tensor) -> Result<(f64, f64)> {
    let (n, d) = x.dims2()?;
    let (m, _) = y.dims2()?;
    let yt = y.t()?.contiguous()?;
    let (mut all, mut diagonal) = (0., 0.);
    for i in (0..n).step_by(BLOCK) {
        let rows = x.narrow(0, i, BLOCK.min(n - i))?.contiguous()?;
        for (k, v) in rows.matmul(&yt)?.flatten_all()?.to_vec1::<f64>()?.into_iter().enumerate() {
            let kernel = (v / d as f64 + 1.).powi(3);
            all += kernel;
            if i + k / m == k % m {
                diagonal += kernel;
            }
        }
    }
    Ok((all, diagonal))
}

/// Kernel Inception Distance: the unbiased squared maximum mean discrepancy (MMD) of two feature sets under the kernel
/// `(x . y / d + 1)^3`, over the whole sets, in f64. It is around 0, and may be negative, for samples of one distribution.
///
/// # Shapes
/// `a` `(N, d)`, `b` `(M, d)`, any float type.
///
/// # Errors
/// Another width, no columns, or fewer than two rows in either.
pub fn kid(a: &Tensor, b: &Tensor) -> Result<f64> {
    const DOC: &str = "(N, d) features, N at least 2, d at least 1 and alike in both sets";
    expect_shape("kid: a", a, &[None, None], DOC)?;
    expect_shape("kid: b", b, &[None, Some(a.dim(1)?)], DOC)?;
    if let Some(x) = [a, b].into_iter().find(|x| x.dims()[0] < 2 || x.dims()[1] == 0) {
        return Err(Error::Shape { what: "kid", expected: DOC.into(), got: x.dims().to_vec() });
    }
    let (a, b) = (a.to_dtype(DType::F64)?, b.to_dtype(DType::F64)?);
    let (n, m) = (a.dim(0)? as f64, b.dim(0)? as f64);
    let ((aa, da), (bb, db), (ab, _)) = (sums(&a, &a)?, sums(&b, &b)?, sums(&a, &b)?);
    Ok((aa - da) / (n * (n - 1.)) + (bb - db) / (m * (m - 1.)) - 2. * ab / (n * m))
}
