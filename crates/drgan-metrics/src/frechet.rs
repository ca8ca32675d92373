use candle_core::{DType, Tensor};
use drgan_tensor::{Error, Result, expect_shape};
use faer::{Mat, Side};

/// Frechet Inception Distance: that of two Gaussians fitted to feature sets,
/// `|mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))`, covariances over `n - 1`, in f64.
///
/// 0 for equal sets and biased upwards for small ones: quote it with its sample count. Fewer rows than columns are
/// allowed; the covariances are singular then, and the distance is still defined.
///
/// # Shapes
/// `a` `(N, d)`, `b` `(M, d)`, any float type.
///
/// # Errors
/// Another width, no columns, fewer than two rows in either, values that are not finite.
pub fn frechet_distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    const DOC: &str = "(N, d) features, N at least 2, d at least 1 and alike in both sets";
    expect_shape("frechet_distance: a", a, &[None, None], DOC)?;
    expect_shape("frechet_distance: b", b, &[None, Some(a.dim(1)?)], DOC)?;
    if let Some(x) = [a, b].into_iter().find(|x| x.dims()[0] < 2 || x.dims()[1] == 0) {
        return Err(Error::Shape { what: "frechet_distance", expected: DOC.into(), got: x.dims().to_vec() });
    }
    let (mean_a, a) = gaussian(a)?;
    let (mean_b, b) = gaussian(b)?;
    let apart: f64 = mean_a.iter().zip(&mean_b).map(|(x, y)| (x - y).powi(2)).sum();
    // C_a C_b has the eigenvalues of the symmetric C_a^(1/2) C_b C_a^(1/2).
    let root = square_root(&a)?;
    let product = &root * &b * &root;
    let common: f64 = eigenvalues(&product)?.into_iter().map(|v| v.max(0.).sqrt()).sum();
    let trace = |c: &Mat<f64>| (0..c.nrows()).map(|i| c[(i, i)]).sum::<f64>();
    Ok(apart + trace(&a) + trace(&b) - 2. * common)
}

/// Mean and covariance.
fn gaussian(x: &Tensor) -> Result<(Vec<f64>, Mat<f64>)> {
    let x = x.to_dtype(DType::F64)?;
    let (n, d) = x.dims2()?;
    let mean = x.mean(0)?;
    let x = x.broadcast_sub(&mean)?;
    let covariance = (x.t()?.contiguous()?.matmul(&x)? / (n - 1) as f64)?.flatten_all()?.to_vec1::<f64>()?;
    let mean = mean.to_vec1::<f64>()?;
    if mean.iter().chain(&covariance).any(|v| !v.is_finite()) {
        return Err(candle_core::Error::Msg("frechet_distance: features that are not finite".into()).into());
    }
    Ok((mean, Mat::from_fn(d, d, |i, j| covariance[i * d + j])))
}

fn square_root(c: &Mat<f64>) -> Result<Mat<f64>> {
    let eigen = c.self_adjoint_eigen(Side::Lower).map_err(unsolved)?;
    let (u, s) = (eigen.U(), eigen.S().column_vector());
    // Rounding leaves small negative values where there should be none.
    let scaled = Mat::from_fn(u.nrows(), u.ncols(), |i, j| u[(i, j)] * s[j].max(0.).sqrt());
    Ok(scaled * u.transpose())
}

fn eigenvalues(c: &Mat<f64>) -> Result<Vec<f64>> {
    c.self_adjoint_eigenvalues(Side::Lower).map_err(unsolved)
}

fn unsolved(e: impl std::fmt::Debug) -> Error {
    candle_core::Error::Msg(format!("frechet_distance: no eigenvalues: {e:?}")).into()
}
