//! Pictures with captions: packing the default set, reading WebDataset tars and folders, loading batches.
//!
//! ```
//! use drgan_train::data::{Dataset, Loader, LoaderConfig, Split};
//! let data = std::sync::Arc::new(Dataset::embedded()?);
//! let mut batches = Loader::new(data, Split::Train, LoaderConfig { batch: 2, ..Default::default() }, 0)?;
//! let batch = batches.next().expect("a loader has no end")?;
//! assert_eq!(batch.images[2].dims(), [2, 3, 64, 64]);
//! # Ok::<(), drgan_train::data::DataError>(())
//! ```
mod archive;
mod augment;
mod dataset;
pub mod emoji;
mod error;
mod folder;
mod loader;
mod order;
mod picture;
mod published;
mod verify;

pub(crate) use augment::Cut;
pub use dataset::{Dataset, Loaded, Record, Split};
pub use error::DataError;
pub use loader::{Batch, Loader, LoaderConfig};
pub use picture::Picture;
pub use verify::{Verification, verify};

#[cfg(test)]
mod tests;
