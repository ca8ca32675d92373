//! Optimizer updates in candle's own operations.
use super::step::AdamStep;
use candle_core::{DType, Result, Tensor, Var};

/// Reference implementation of [`adam_update`](crate::adam_update).
///
/// # Errors
/// Those of [`adam_update`](crate::adam_update).
pub fn adam_update(parameter: &Var, gradient: &Tensor, m: &Var, v: &Var, step: AdamStep) -> Result<()> {
    let (b1, b2) = step.betas;
    let g = (gradient.detach() * step.scale)?;
    let next_m = ((m.as_detached_tensor() * b1)? + (&g * (1. - b1))?)?;
    let next_v = ((v.as_detached_tensor() * b2)? + ((&g * (1. - b2))? * &g)?)?;
    let change = ((&next_m * step.rate)? / ((next_v.sqrt()? / step.root)? + step.eps)?)?;
    parameter.set(&(parameter.as_detached_tensor() - change)?)?;
    m.set(&next_m)?;
    v.set(&next_v)
}

/// Reference implementation of [`ema_update`](crate::ema_update).
///
/// # Errors
/// Those of [`ema_update`](crate::ema_update).
pub fn ema_update(average: &Var, value: &Tensor, decay: f64) -> Result<()> {
    average.set(&((average.as_detached_tensor() * decay)? + (value.detach() * (1. - decay))?)?)
}

/// Reference implementation of [`sum_of_squares`](crate::sum_of_squares).
///
/// # Errors
/// Those of [`sum_of_squares`](crate::sum_of_squares).
pub fn sum_of_squares(x: &Tensor) -> Result<f64> {
    x.detach().to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar()
}
