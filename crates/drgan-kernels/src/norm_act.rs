use crate::activation::{self, Activation};
use candle_core::{Result, Tensor, bail};

/// What [`batch_norm`] gives.
#[derive(Clone, Debug)]
pub struct Normalized {
    /// The activated output.
    pub y: Tensor,
    /// Mean of each channel over the batch, `(C,)`, without gradient.
    pub mean: Tensor,
    /// Population variance of each channel over the batch, `(C,)`, without gradient.
    pub var: Tensor,
}

/// Batch normalisation with the batch's own statistics, then an activation:
/// `act(weight (x - mean) / sqrt(var + eps) + bias)`, statistics over every axis but 1. Gradients flow through the
/// statistics.
///
/// # Shapes
/// `x`: `(B, C)` or `(B, C, H, W)`; `weight`, `bias`: `(C,)`; result: see [`Activation`].
///
/// # Errors
/// A channel with fewer than two values (its variance says nothing), or shapes that do not fit.
pub fn batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    act: Activation,
) -> Result<Normalized> {
    reference_batch_norm(x, weight, bias, eps, act)
}

/// `act(scale x + shift)`, a scale and a shift a channel: batch normalisation with remembered statistics.
///
/// # Shapes
/// `x`: `(B, C, ...)`; `scale`, `shift`: `(C,)`; result: see [`Activation`].
///
/// # Errors
/// Shapes that do not fit.
pub fn scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor, act: Activation) -> Result<Tensor> {
    reference_scale_shift(x, scale, shift, act)
}

/// Plain-tensor form of [`batch_norm`].
pub fn reference_batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    act: Activation,
) -> Result<Normalized> {
    let flat = channel_rows(x)?; // (C, B H W)
    let n = flat.dim(1)?;
    if n < 2 {
        bail!("batch_norm: x: {:?} gives a channel {n} value(s); training needs at least two", x.dims())
    }
    let mean = flat.mean_keepdim(1)?;
    let centred = flat.broadcast_sub(&mean)?;
    let var = centred.sqr()?.mean_keepdim(1)?;
    let scale = (weight.unsqueeze(1)? / (&var + eps)?.sqrt()?)?; // (C, 1)
    let shift = (bias.unsqueeze(1)? - (&mean * &scale)?)?;
    let y = reference_scale_shift(x, &scale.squeeze(1)?, &shift.squeeze(1)?, act)?;
    Ok(Normalized { y, mean: mean.squeeze(1)?.detach(), var: var.squeeze(1)?.detach() })
}

/// Plain-tensor form of [`scale_shift`].
pub fn reference_scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor, act: Activation) -> Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dim(1)?;
    let y = x.broadcast_mul(&scale.reshape(shape.as_slice())?)?.broadcast_add(&shift.reshape(shape)?)?;
    activation::reference(&y, act)
}

/// `(B, C, ...)` to `(C, B * ...)`.
fn channel_rows(x: &Tensor) -> Result<Tensor> {
    if x.rank() < 2 {
        bail!("batch_norm: x: expected (B, C, ...), got {:?}", x.dims())
    }
    x.transpose(0, 1)?.flatten_from(1)?.contiguous()
}
