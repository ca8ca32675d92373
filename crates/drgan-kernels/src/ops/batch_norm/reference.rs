//! Batch normalization in candle's own operations.
use super::normalized::Normalized;
use crate::ops::activation::kind::Activation;
use crate::ops::activation::reference::activate;
use candle_core::{Result, Tensor, Var, bail};

/// Reference implementation of [`batch_norm`](crate::batch_norm).
///
/// # Errors
/// Those of [`batch_norm`](crate::batch_norm).
pub fn batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    act: Activation,
    residual: Option<&Tensor>,
) -> Result<Normalized> {
    let flat = channel_rows(x)?; // (C, B H W)
    let n = flat.dim(1)?;
    if n < 2 {
        bail!(
            "batch_norm: x: {:?} has too few values per channel, {n}; training needs at least two",
            x.dims()
        )
    }
    let mean = flat.mean_keepdim(1)?;
    let centered = flat.broadcast_sub(&mean)?;
    let var = centered.sqr()?.mean_keepdim(1)?;
    let scale = (weight.unsqueeze(1)? / (&var + eps)?.sqrt()?)?; // (C, 1)
    let shift = (bias.unsqueeze(1)? - (&mean * &scale)?)?;
    let y = scale_shift(x, &scale.squeeze(1)?, &shift.squeeze(1)?, act)?;
    let y = match residual {
        Some(residual) => (y + residual)?,
        None => y,
    };
    Ok(Normalized { y, mean: mean.squeeze(1)?.detach(), var: var.squeeze(1)?.detach() })
}

/// Reference implementation of [`scale_shift`](crate::scale_shift).
///
/// # Errors
/// Those of [`scale_shift`](crate::scale_shift).
pub fn scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor, act: Activation) -> Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dim(1)?;
    let y = x.broadcast_mul(&scale.reshape(shape.as_slice())?)?.broadcast_add(&shift.reshape(shape)?)?;
    activate(&y, act)
}

/// `(B, C, ...)` to `(C, B * ...)`.
fn channel_rows(x: &Tensor) -> Result<Tensor> {
    if x.rank() < 2 {
        bail!("batch_norm: x: expected (B, C, ...), got {:?}", x.dims())
    }
    x.transpose(0, 1)?.flatten_from(1)?.contiguous()
}

/// Reference implementation of [`update_running_statistics`](crate::update_running_statistics).
///
/// # Errors
/// Those of [`update_running_statistics`](crate::update_running_statistics).
pub fn update_running_statistics(running: (&Var, &Var), batch: &Normalized, momentum: f64) -> Result<()> {
    let towards = |running: &Var, batch: &Tensor| {
        running.set(&((running.as_detached_tensor() * (1. - momentum))? + (batch.detach() * momentum)?)?)
    };
    towards(running.0, &batch.mean)?;
    towards(running.1, &(&batch.var * batch.unbiased())?)
}
