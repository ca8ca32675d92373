//! The formats of data sets, a file each, and which of them reads a path.
mod archive;
mod attngan;
mod coco;
mod cub;
mod description;
mod entries;
pub(crate) mod files;
mod folder;
mod format;
mod imagefolder;
mod links;
mod listing;
mod metadata;
mod names;
mod passed_over;
mod pictures;
mod published;
mod text;
mod webdataset;

use crate::error::DataError;
pub(crate) use format::{Entry, Format, Index, Words};
pub(crate) use listing::Listing;
pub use listing::PublishedSet;
pub(crate) use passed_over::{PassedOver, Reason};
use std::path::Path;
pub(crate) use text::key_of;
pub(crate) use webdataset::WebDataset;

/// Every format; the first that recognizes a path reads it.
const FORMATS: [&dyn Format; 6] = [
    &cub::Cub,
    &attngan::AttnGanCoco,
    &coco::Coco,
    &imagefolder::ImageFolder,
    &folder::TextFolder,
    &webdataset::WebDataset,
];

/// The format of what is at `path`.
///
/// # Errors
/// Nothing there, a pipe or device, a picture, an archive of another kind, a file or folder that cannot be read.
pub(crate) fn detect(path: &Path) -> Result<&'static dyn Format, DataError> {
    let meta = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => DataError::Missing { path: path.to_owned() },
        _ => DataError::io(path)(e),
    })?;
    if meta.is_file() {
        archive::check(path)?;
    }
    if meta.is_file() || meta.is_dir() {
        for format in FORMATS {
            if format.detect(path)? {
                return Ok(format);
            }
        }
    }
    let source = std::io::Error::other("a pipe or device");
    Err(DataError::NotATar { path: path.display().to_string(), source })
}

#[cfg(test)]
mod folder_tests;
#[cfg(test)]
mod metadata_tests;
#[cfg(test)]
mod tar_tests;
#[cfg(test)]
mod tests;
