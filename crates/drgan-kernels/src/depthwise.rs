use crate::conv2d::{Conv2dSpec, patches};
use candle_core::{Result, Tensor, bail};

/// Depth-wise 2-D convolution: each channel with its own kernel.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `weight`: `(C, 1, kh, kw)`; result: `(B, C, H', W')`.
///
/// # Errors
/// Shapes that do not fit each other.
pub fn depthwise_conv2d(x: &Tensor, weight: &Tensor, spec: Conv2dSpec) -> Result<Tensor> {
    reference(x, weight, spec)
}

/// Plain-tensor form of [`depthwise_conv2d`].
pub fn reference(x: &Tensor, weight: &Tensor, spec: Conv2dSpec) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let (wc, one, kh, kw) = weight.dims4()?;
    if wc != c || one != 1 {
        bail!("depthwise_conv2d: weight: expected ({c}, 1, kh, kw), got {:?}", weight.dims())
    }
    let (oh, ow) = spec.output_size((h, w), (kh, kw))?;
    let cols = patches(x, (kh, kw), spec, (oh, ow))?; // (B, C, kh kw, oh ow)
    cols.broadcast_mul(&weight.reshape((1, c, kh * kw, 1))?)?.sum(2)?.reshape((b, c, oh, ow))
}
