//! The joint convolution in candle's own operations.
use crate::ops::activation::kind::Activation;
use crate::ops::activation::reference::activate;
use crate::ops::conv2d::reference::conv2d;
use crate::ops::conv2d::shape::Conv2dSpec;
use candle_core::{Result, Tensor};

/// Reference implementation of [`joint_conv2d`](crate::joint_conv2d).
///
/// # Errors
/// Those of [`joint_conv2d`](crate::joint_conv2d).
pub fn joint_conv2d(
    x: &Tensor,
    vector: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    act: Activation,
    spec: Conv2dSpec,
) -> Result<Tensor> {
    let ((b, c, h, w), d) = (x.dims4()?, vector.dim(1)?);
    let spread = vector.reshape((b, d, 1, 1))?.broadcast_as((b, d, h, w))?;
    // A convolution of joined channels is the sum of their convolutions.
    let of_map = conv2d(x, &weight.narrow(1, 0, c)?, Some(bias), spec)?;
    let of_vector = conv2d(&spread, &weight.narrow(1, c, d)?, None, spec)?;
    activate(&(of_map + of_vector)?, act)
}
