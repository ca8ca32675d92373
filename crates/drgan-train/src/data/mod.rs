//! Pictures with captions: packing the default set, reading WebDataset tars and folders, loading batches.
pub mod emoji;
mod error;
mod picture;

pub use error::DataError;
pub use picture::Picture;
