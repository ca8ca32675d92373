//! Reconstruction: mean absolute difference of two images (docs/model.md, Objectives).
use candle_core::Tensor;
use drgan_tensor::{Error, Result, ops};

/// `mean|a - b|`, with gradients to both; the derivative at `a = b` is 0.
///
/// # Shapes
/// `a` and `b` of one shape, which may be any; the result is a scalar.
///
/// # Errors
/// The shapes differ.
pub fn reconstruction(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() {
        let expected = format!("{:?}, the other image's", b.dims());
        return Err(Error::Shape { what: "reconstruction: a", expected, got: a.dims().to_vec() });
    }
    Ok(ops::mean_absolute_difference(a, b)?)
}
