//! Mean absolute differences, alone and as DNM's and DAL's parts (SPEC, Objectives).
use crate::{kl, math::abs};
use candle_core::Tensor;
use drgan_tensor::{Error, Gaussian, Result};

/// `mean|a - b|`, gradients to both; the derivative at `a = b` is 0.
///
/// # Shapes
/// Any, the same for both.
///
/// # Errors
/// The shapes differ.
pub fn reconstruction(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() {
        let expected = format!("{:?}, the other image's", b.dims());
        return Err(Error::Shape { what: "reconstruction: a", expected, got: a.dims().to_vec() });
    }
    Ok(abs(&(a - b)?)?.mean_all()?)
}

/// `mean|x*(fake) - fake| + mean|x*(real) - real| + KL(fake) + KL(real)`, for the discriminator.
///
/// The targets `fake` and `real` are constants.
///
/// # Shapes
/// Pictures `(B, 3, S, S)`, latents `(B, D)`.
///
/// # Errors
/// A reconstruction's shape is not its target's, or a latent's halves differ.
pub fn dnm(
    recon_fake: &Tensor,
    fake: &Tensor,
    latent_fake: &Gaussian,
    recon_real: &Tensor,
    real: &Tensor,
    latent_real: &Gaussian,
) -> Result<Tensor> {
    let images = (reconstruction(recon_fake, &fake.detach())? + reconstruction(recon_real, &real.detach())?)?;
    Ok(((images + kl(latent_fake)?)? + kl(latent_real)?)?)
}

/// `mean|x*(fake) - real|`, for the generator with the discriminator frozen; `real` is a constant.
///
/// # Shapes
/// `(B, 3, S, S)`.
///
/// # Errors
/// The shapes differ.
pub fn dal(recon_fake: &Tensor, real: &Tensor) -> Result<Tensor> {
    reconstruction(recon_fake, &real.detach())
}
