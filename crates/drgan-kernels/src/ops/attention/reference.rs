//! Word attention in candle's own operations.
use candle_core::{Result, Tensor};

/// What a padding word's score is lowered by: `exp` of it is 0 in every float type, its sum with a score is finite.
pub(super) const EXCLUDED: f64 = -1e9;

/// Reference implementation of [`word_attention`](crate::word_attention).
///
/// # Errors
/// Those of [`word_attention`](crate::word_attention).
pub fn word_attention(h: &Tensor, words: &Tensor, mask: &Tensor) -> Result<(Tensor, Tensor)> {
    let ((b, c, height, width), t) = (h.dims4()?, words.dim(2)?);
    let padding = mask.to_dtype(h.dtype())?.unsqueeze(1)?; // (B, 1, T)
    let w = words.broadcast_mul(&padding.affine(-1., 1.)?)?;
    let pixels = h.flatten_from(2)?.transpose(1, 2)?; // (B, HW, C)
    let scores = pixels.matmul(&w)?.broadcast_add(&(padding * EXCLUDED)?)?; // (B, HW, T)
    // The largest score is a constant: the softmax does not change with it, so neither does its gradient.
    let scores = scores.broadcast_sub(&scores.detach().max_keepdim(2)?)?.exp()?;
    let theta = scores.broadcast_div(&scores.sum_keepdim(2)?)?.transpose(1, 2)?; // (B, T, HW)
    let context = w.contiguous()?.matmul(&theta)?.reshape((b, c, height, width))?;
    Ok((context, theta.reshape((b, t, height, width))?))
}
