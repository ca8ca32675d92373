//! Reconstruction: mean absolute difference of two images (docs/model.md, Objectives).
use crate::math::abs;
use candle_core::Tensor;
use drgan_tensor::{Error, Result};

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
    Ok(abs(&(a - b)?)?.mean_all()?)
}
