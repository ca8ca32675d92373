//! Discriminators of DR-GAN with their Distribution Normalization Module.
//!
//! A [`StageDiscriminator`] reads pictures of one side and says how real they are, alone ([`Unconditional`]) and
//! beside a sentence ([`Conditional`]); its VAE ([`LatentNet`], [`Decoder`]) brings the features' distribution
//! to a normal one and rebuilds the picture from it. Nothing here computes a loss.
mod config;
mod decoder;
mod discriminator;
mod encoder;
mod heads;
mod infer;
mod latent;

pub use config::DiscriminatorConfig;
pub use decoder::Decoder;
pub use discriminator::{LatentNoise, StageDiscriminator};
pub use encoder::{Encoded, Encoder};
pub use heads::{Conditional, Unconditional};
pub use latent::LatentNet;
