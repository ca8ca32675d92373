//! Convolution in candle's own operations: any float type, any device, right gradients.
use super::shape::{Conv2dSpec, ConvShape, expect_values};
use crate::ops::activation::kind::Activation;
use crate::ops::activation::reference::activate;
use candle_core::{Result, Tensor, bail};

/// Reference implementation of [`conv2d`](crate::conv2d): every tap a strided view, one matrix product.
///
/// # Errors
/// Those of [`conv2d`](crate::conv2d).
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, spec: Conv2dSpec) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let (o, wc, kh, kw) = weight.dims4()?;
    if wc != c {
        bail!(
            "conv2d: weight: expected (O, {c}, kh, kw) for an input of {c} channels, got {:?}",
            weight.dims()
        )
    }
    let ConvShape { oh, ow, .. } = ConvShape::of_sides((b, h, w), (o, c, kh, kw), spec, false)?;
    expect_values("conv2d: patches", &[b, c, kh, kw, oh, ow])?;
    let cols = patches(x, (kh, kw), spec, (oh, ow))?; // (B, C, kh kw, oh ow)
    let cols = cols.reshape((b, c * kh * kw, oh * ow))?;
    let flat = weight.reshape((1, o, c * kh * kw))?.broadcast_as((b, o, c * kh * kw))?.contiguous()?;
    let y = flat.matmul(&cols)?.reshape((b, o, oh, ow))?;
    match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, o, 1, 1))?),
        None => Ok(y),
    }
}

/// Reference implementation of [`conv2d_act`](crate::conv2d_act).
///
/// # Errors
/// Those of [`conv2d_act`](crate::conv2d_act).
pub fn conv2d_act(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    act: Activation,
    spec: Conv2dSpec,
) -> Result<Tensor> {
    activate(&conv2d(x, weight, bias, spec)?, act)
}

/// Every tap of a `kh x kw` window: `(B, C, kh kw, oh ow)`.
pub(crate) fn patches(
    x: &Tensor,
    (kh, kw): (usize, usize),
    spec: Conv2dSpec,
    (oh, ow): (usize, usize),
) -> Result<Tensor> {
    let (b, c, ..) = x.dims4()?;
    let p = spec.padding;
    let padded = x.pad_with_zeros(2, p.top, p.bottom)?.pad_with_zeros(3, p.left, p.right)?.contiguous()?;
    let mut taps = Vec::with_capacity(kh * kw);
    for u in 0..kh {
        let rows = every_nth(&padded, 2, u, spec.stride, oh)?;
        for v in 0..kw {
            taps.push(every_nth(&rows, 3, v, spec.stride, ow)?.reshape((b, c, 1, oh * ow))?);
        }
    }
    Tensor::cat(&taps, 2)
}

/// `n` slices `start, start + step, ...` along `dim`.
pub(crate) fn every_nth(x: &Tensor, dim: usize, start: usize, step: usize, n: usize) -> Result<Tensor> {
    let index: Vec<u32> = (0..n).map(|i| (start + step * i) as u32).collect();
    x.contiguous()?.index_select(&Tensor::from_vec(index, n, x.device())?, dim)
}
