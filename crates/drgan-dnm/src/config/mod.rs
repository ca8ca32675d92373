//! Sizes and choices of a discriminator, with their checks.
mod from_shapes;

use drgan_tensor::{Error, Result, Variant};
use serde::{Deserialize, Serialize};

/// Sizes of a [`StageDiscriminator`](crate::StageDiscriminator).
///
/// `side`, `base` and `text_dim` follow from the generator whose images it reads: whoever holds both configurations sets
/// them from there. Write `DiscriminatorConfig { side: 128, ..Default::default() }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscriminatorConfig {
    /// Side of the images it reads, in pixels: a power of two, 16 or more; the side of its generator stage.
    pub side: usize,
    /// Side S of the image its VAE reconstructs, in pixels: a power of two, 16 or more; the generator's
    /// `base`.
    pub base: usize,
    /// Channels of its first layer at side 64; its features have 8 times as many.
    pub ndf: usize,
    /// Length D of a sentence embedding; the text encoder's `words_dim`.
    pub text_dim: usize,
    /// Length of the normalized latent and of the sentence code beside it.
    pub latent: usize,
    /// The VAE as in the paper or as in the released code.
    pub form: Variant,
}

impl Default for DiscriminatorConfig {
    fn default() -> Self {
        Self { side: 64, base: 64, ndf: 32, text_dim: 256, latent: 100, form: Variant::Paper }
    }
}

impl DiscriminatorConfig {
    /// Channels of the features v: `8 ndf`.
    pub fn features(&self) -> usize {
        8 * self.ndf
    }

    /// Number of strided layers beyond the four that end in `8 ndf` channels; each doubles the channels once more.
    pub(crate) fn extra_layers(&self) -> usize {
        ((self.side / 4).ilog2() as usize).saturating_sub(4)
    }

    /// Channels of the deepest feature map, before the 3x3 layers bring them back to `8 ndf`.
    pub fn deepest(&self) -> usize {
        self.features() << self.extra_layers()
    }

    /// Checks that every field is in its range.
    ///
    /// # Errors
    /// [`Error::Config`](drgan_tensor::Error::Config) with the first field out of range.
    pub fn validate(&self) -> Result<()> {
        for (field, side) in [("discriminator.side", self.side), ("discriminator.base", self.base)] {
            if !side.is_power_of_two() || side < 16 {
                let reason = format!("{side}; must be a power of two from 16 on, e.g. 64");
                return Err(Error::Config { field, reason });
            }
        }
        for (field, value) in [
            ("discriminator.ndf", self.ndf),
            ("discriminator.text_dim", self.text_dim),
            ("discriminator.latent", self.latent),
        ] {
            if value == 0 {
                return Err(Error::Config { field, reason: "0; must be at least 1".to_owned() });
            }
        }
        Ok(())
    }
}
