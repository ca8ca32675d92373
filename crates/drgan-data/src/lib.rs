#![doc = include_str!("../README.md")]
mod dataset;
pub mod emoji;
mod error;
mod formats;
mod image;
mod loader;
mod verify;

pub use crate::image::Image;
pub use dataset::{Dataset, Loaded, Record, Split};
pub use error::DataError;
pub use loader::{Batch, Crop, Loader, LoaderConfig};
pub use verify::{Verification, verify};

#[cfg(test)]
mod tests;
