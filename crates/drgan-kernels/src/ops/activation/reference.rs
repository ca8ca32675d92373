//! Activations in candle's own operations.
use super::kind::Activation;
use candle_core::{Result, Tensor};

/// Reference implementation of [`activate`](crate::activate).
///
/// # Errors
/// Those of [`activate`](crate::activate).
pub fn activate(x: &Tensor, act: Activation) -> Result<Tensor> {
    // Selections, whose gradient at 0 is the stated one; a product with a mask would make NaN of infinities.
    let below_zero = |rest: &Tensor| x.le(0.)?.where_cond(&x.zeros_like()?, rest);
    match act {
        Activation::Identity => Ok(x.clone()),
        Activation::Relu => below_zero(x),
        Activation::Relu6 => below_zero(&x.ge(6.)?.where_cond(&(x.zeros_like()? + 6.)?, x)?),
        Activation::LeakyRelu(slope) => {
            let positive = x.gt(0.)?.to_dtype(x.dtype())?;
            let factor = ((positive * (1. - slope))? + slope)?;
            factor.mul(x)
        }
        Activation::Glu => {
            let c = x.dim(1)?;
            act.check_channels("activate: x", c)?;
            let (a, b) = (x.narrow(1, 0, c / 2)?, x.narrow(1, c / 2, c / 2)?);
            a.mul(&candle_nn::ops::sigmoid(&b)?)
        }
    }
}

/// Reference implementation of [`activate_biased`](crate::activate_biased).
///
/// # Errors
/// Those of [`activate_biased`](crate::activate_biased).
pub fn activate_biased(x: &Tensor, bias: &Tensor, act: Activation) -> Result<Tensor> {
    activate(&x.broadcast_add(bias)?, act)
}
