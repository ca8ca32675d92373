#![doc = include_str!("../README.md")]
#[cfg(feature = "fs")]
pub mod animation;
mod captions;
mod fit;
#[cfg(feature = "fs")]
pub mod folder;
mod font;
pub mod grid;
pub mod heat;
pub mod interpolate;
#[cfg(feature = "fs")]
pub mod listing;
mod model;
mod model_file;
mod noise;
pub mod onnx;
#[cfg(feature = "fs")]
pub mod pretrained;
pub mod rgb;
mod sampler;
pub mod sheet;
#[cfg(feature = "fs")]
pub mod state_dicts;
#[cfg(test)]
mod testing;

pub use candle_core::Device;
pub use captions::CaptionEncoder;
pub use drgan_tensor::ops::Precision;
pub use drgan_tensor::{Error, Result};
pub use fit::Fit;
pub use image::RgbImage;
pub use model::{Model, ModelConfig};
pub use model_file::{CONFIG_KEY, GENERATOR_PART, IMAGE_PART, TEXT_PART};
pub use sampler::{Arithmetic, Sampler};
