//! Discriminators of DR-GAN with their Distribution Normalization Module.
//!
//! A [`StageDiscriminator`] reads images of one side and gives logits of how real they are, alone ([`UnconditionalHead`])
//! and beside a sentence ([`ConditionalHead`]). Its VAE ([`LatentEncoder`], [`Decoder`]) brings the features' distribution to
//! a normal one and reconstructs the image from it. Nothing here computes a loss.
mod config;
mod decoder;
mod discriminator;
mod encoder;
mod heads;
mod latent;

pub use config::DiscriminatorConfig;
pub use decoder::Decoder;
pub use discriminator::{LatentNoise, StageDiscriminator};
pub use encoder::{EncodedImages, Encoder};
pub use heads::{ConditionalHead, UnconditionalHead};
pub use latent::LatentEncoder;

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
