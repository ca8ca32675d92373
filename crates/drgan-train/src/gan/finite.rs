//! Losses as plain numbers, and the refusal of those that are NaN or infinite.
use crate::error::TrainError;
use candle_core::{DType, Tensor};

/// A named number of a step, e.g. `("d32", 1.7)`.
pub type Scalar = (String, f32);

/// A scalar tensor's value.
pub(crate) fn scalar(t: &Tensor) -> Result<f32, TrainError> {
    Ok(t.to_dtype(DType::F32)?.to_scalar::<f32>()?)
}

/// NaN or infinity if `t` holds one.
pub(crate) fn non_finite(t: &Tensor) -> Result<Option<f32>, TrainError> {
    // A sum of finite numbers of this type is finite, and any other stays.
    let sum = t.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
    Ok((!sum.is_finite()).then_some(sum as f32))
}

/// The first number that is NaN or infinite becomes an error.
pub(crate) fn refuse_non_finite(scalars: &[Scalar]) -> Result<(), TrainError> {
    match scalars.iter().find(|(_, value)| !value.is_finite()) {
        Some((loss, value)) => Err(TrainError::NonFinite { loss: loss.clone(), value: *value }),
        None => Ok(()),
    }
}

/// The first tensor that holds NaN or infinity becomes an error with its name.
pub(crate) fn refuse_non_finite_tensors<'a>(
    tensors: impl IntoIterator<Item = (&'a String, &'a Tensor)>,
) -> Result<(), TrainError> {
    for (name, tensor) in tensors {
        if let Some(value) = non_finite(tensor)? {
            return Err(TrainError::NonFinite { loss: format!("`{name}`"), value });
        }
    }
    Ok(())
}
