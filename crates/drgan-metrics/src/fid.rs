//! Frechet Inception Distance (FID): distance of two Gaussians fitted to feature sets.
use crate::statistics::Statistics;
use candle_core::Tensor;
use drgan_tensor::{Error, Result, expect_shape};
use faer::{Mat, Side};

/// FID of two feature sets: [`frechet_distance`] of their [`Statistics`].
///
/// # Shapes
/// `a` `(N, d)`, `b` `(M, d)`, any float type.
///
/// # Errors
/// Another width, no columns, fewer than two rows in either, values that are not finite.
pub fn fid(a: &Tensor, b: &Tensor) -> Result<f64> {
    const DOC: &str = "(N, d) features, N at least 2, d at least 1 and alike in both sets";
    expect_shape("fid: a", a, &[None, None], DOC)?;
    expect_shape("fid: b", b, &[None, Some(a.dim(1)?)], DOC)?;
    if let Some(x) = [a, b].into_iter().find(|x| x.dims()[0] < 2 || x.dims()[1] == 0) {
        return Err(Error::Shape { what: "fid", expected: DOC.into(), got: x.dims().to_vec() });
    }
    frechet_distance(&Statistics::from_features(a)?, &Statistics::from_features(b)?)
}

/// Frechet distance of the Gaussians with two sets' means and covariances,
/// `|mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))`, in f64.
///
/// It is 0 for equal sets and biased upwards for small ones: quote it with the number of samples. Sets with fewer vectors
/// than features are allowed; their covariances are singular, and the distance is still defined.
///
/// # Errors
/// Features of another length; fewer than two vectors in either set.
pub fn frechet_distance(a: &Statistics, b: &Statistics) -> Result<f64> {
    if a.dim() != b.dim() || a.n() < 2 || b.n() < 2 {
        let got = vec![a.n(), a.dim(), b.n(), b.dim()];
        let expected = "two sets of at least 2 vectors, of one length".into();
        return Err(Error::Shape { what: "frechet_distance: a, b", expected, got });
    }
    let apart: f64 = a.mean().iter().zip(b.mean()).map(|(x, y)| (x - y).powi(2)).sum();
    let (a, b) = (matrix(a), matrix(b));
    // C_a C_b has the eigenvalues of the symmetric C_a^(1/2) C_b C_a^(1/2).
    let root = square_root(&a)?;
    let product = &root * &b * &root;
    let common: f64 = eigenvalues(&product)?.into_iter().map(|v| v.max(0.).sqrt()).sum();
    let trace = |c: &Mat<f64>| (0..c.nrows()).map(|i| c[(i, i)]).sum::<f64>();
    Ok(apart + trace(&a) + trace(&b) - 2. * common)
}

/// The covariance as a matrix.
fn matrix(of: &Statistics) -> Mat<f64> {
    let d = of.dim();
    Mat::from_fn(d, d, |i, j| of.covariance()[i * d + j])
}

/// Square root of a positive semi-definite matrix.
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
    Error::input(format!("frechet_distance: the covariances have no eigenvalues: {e:?}"))
}
