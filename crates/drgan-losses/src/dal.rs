//! Distribution Adversarial Loss (DAL): generated images, reconstructed, should resemble the real ones (docs/model.md,
//! Objectives).
use crate::reconstruction::reconstruction;
use candle_core::Tensor;
use drgan_tensor::Result;

/// `mean|x*(fake) - real|`, for the generator while the discriminator is frozen. `real` is a constant.
///
/// # Shapes
/// `fake_reconstruction`, x*(fake), and `real` `(B, 3, S, S)`; the result is a scalar.
///
/// # Errors
/// The shapes differ.
pub fn dal(fake_reconstruction: &Tensor, real: &Tensor) -> Result<Tensor> {
    reconstruction(fake_reconstruction, &real.detach())
}
