//! Distribution Normalization Module (DNM): the discriminator's VAE reconstructs fake and real images (docs/model.md,
//! Objectives).
use crate::{kl::kl, reconstruction::reconstruction};
use candle_core::Tensor;
use drgan_tensor::{DiscriminatorOutput, Gaussian, Result};

/// What a discriminator's VAE made of one batch of images, and the images it should have made.
#[derive(Clone, Copy, Debug)]
pub struct Reconstruction<'a> {
    /// Reconstructed images x*, `(B, 3, S, S)`.
    pub image: &'a Tensor,
    /// The images themselves at the same size, `(B, 3, S, S)`; a constant of the objective.
    pub target: &'a Tensor,
    /// Latent that the reconstruction was sampled from, `(B, D)`.
    pub latent: &'a Gaussian,
}

impl<'a> Reconstruction<'a> {
    /// The reconstruction in a discriminator's output, beside the images it should resemble.
    pub fn new(output: &'a DiscriminatorOutput, target: &'a Tensor) -> Self {
        Self { image: &output.reconstruction, target, latent: &output.latent }
    }
}

/// `mean|x*(fake) - fake| + mean|x*(real) - real| + KL(fake) + KL(real)`, for the discriminator. The targets are constants.
///
/// # Shapes
/// See [`Reconstruction`]; the result is a scalar.
///
/// # Errors
/// The shape of a reconstruction is not that of its target, or the halves of a latent differ in shape.
pub fn dnm(fake: Reconstruction<'_>, real: Reconstruction<'_>) -> Result<Tensor> {
    let of_fake = reconstruction(fake.image, &fake.target.detach())?;
    let images = (of_fake + reconstruction(real.image, &real.target.detach())?)?;
    Ok(((images + kl(fake.latent)?)? + kl(real.latent)?)?)
}
