//! The trained model that comes with DR-GAN: 64x64 emoji from captions, in one embedded file.
//!
//! ```
//! use drgan_pretrained::{Device, emoji_64};
//! use drgan_infer::{Precision, Sampler, rgb};
//!
//! let model = emoji_64(&Device::Cpu)?;
//! let images = Sampler::new(&model, Precision::F32)?.images(&["a red heart"], &[0], 0)?;
//! assert_eq!(rgb::to_rgb(&images.get(0)?)?.dimensions(), (64, 64));
//! # Ok::<(), drgan_infer::Error>(())
//! ```
pub use drgan_infer::Device;

use drgan_infer::{Model, Result};

/// The model file of [`emoji_64`], as [`Model::to_half_bytes`] made it: weights in half precision, vocabulary, configuration, and the
/// model card with data, licence, recipe, figures and limits.
pub const EMOJI_64: &[u8] = include_bytes!("../assets/emoji-64.safetensors");

/// The captions of the model's contact sheet, a line each, none of which was chosen for its picture.
pub const CAPTIONS: &str = include_str!("../captions.txt");

/// The model: preset `emoji-64`, trained on the embedded data set of drgan-data. [`Model::card`] says how, and how good it is.
///
/// # Errors
/// A device without room.
pub fn emoji_64(device: &Device) -> Result<Model> {
    Model::from_bytes(EMOJI_64, device)
}

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
