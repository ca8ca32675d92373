#![doc = include_str!("../README.md")]
mod compression;
mod dataset;
mod duplicates;
pub mod emoji;
mod error;
mod fingerprint;
mod formats;
mod image;
mod loader;
mod record;
#[cfg(test)]
mod test_sets;
mod verify;

pub use crate::image::Image;
pub use compression::Compression;
pub use dataset::{Dataset, Loaded};
pub use error::DataError;
pub use fingerprint::DatasetHashes;
pub use formats::PublishedSet;
pub use loader::{Batch, BatchSpec, Crop, Loader, LoaderConfig, Repeat, Shard};
pub use record::{COLOR_TAG, Record, Split};
pub use verify::{Refusal, Verification, verify};
