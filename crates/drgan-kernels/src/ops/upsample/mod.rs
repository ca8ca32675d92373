use crate::cpu::is_fast;
use crate::ops::activation::Activation;
use crate::ops::conv2d::shape::{Conv2dSpec, ConvShape};
use crate::ops::conv2d::{op, reference::conv2d};
use candle_core::{Result, Tensor};

/// Nearest-neighbour doubling.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; result: `(B, C, 2 H, 2 W)`.
///
/// # Errors
/// `x` is not of rank 4.
pub fn upsample_nearest2x(x: &Tensor) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let y = x.contiguous()?.reshape((b, c, h, 1, w, 1))?.broadcast_as((b, c, h, 2, w, 2))?;
    y.contiguous()?.reshape((b, c, 2 * h, 2 * w))
}

/// Nearest-neighbour doubling, then a 3x3 convolution with padding 1 and no bias: the generator's up-block.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `weight`: `(O, C, 3, 3)`; result: `(B, O, 2 H, 2 W)`.
///
/// # Errors
/// Shapes that do not fit each other.
pub fn up_conv2d(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if is_fast(x) && is_fast(weight) && x.elem_count() > 0 {
        let shape = ConvShape::new(x.shape(), weight.shape(), Conv2dSpec::new(1, 1), true)?;
        return op::apply(x, weight, None, Activation::Identity, shape);
    }
    reference(x, weight)
}

/// Plain-tensor form of [`up_conv2d`].
pub fn reference(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    conv2d(&upsample_nearest2x(x)?, weight, None, Conv2dSpec::new(1, 1))
}
