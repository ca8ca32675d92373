//! PyTorch's two checkpoint formats, read without running anything of them, and the newer one written.
//!
//! The **zip** format (since 1.6): an archive of stored entries, `NAME/data.pkl` and a storage each in `NAME/data/KEY`. The
//! **legacy** format: five pickles (magic number, protocol, system, object, storage keys), then each storage's length
//! and values. In both the object is a pickle whose tensors are views of storages: shape, strides, offset.
//!
//! What is read: a state dict, or dictionaries with one inside (`state_dict`, `model`, ...). What is refused, by name: any
//! function but those of tensors and plain containers, whole pickled modules, one of several state dicts, big-endian files, views
//! that leave their storage. Allocation is bounded by a small multiple of the file's size.
mod globals;
mod legacy;
mod refusal;
mod state_dict;
mod storage;
mod writer;
mod zip;

pub use writer::to_bytes;

use super::tensors::{Tensors, floats_as_f32};
use crate::Result;
use crate::file::read;
use candle_core::Device;
use std::path::Path;

/// Which of PyTorch's two checkpoint formats a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// A zip archive: the format since PyTorch 1.6.
    Zip,
    /// Pickles and storages one after the other: the format before PyTorch 1.6, and on request since.
    Legacy,
}

/// The format by a file's first bytes; `None` if it is neither.
pub fn format_of(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(b"PK\x03\x04") {
        Some(Format::Zip)
    } else if legacy::is_legacy(bytes) {
        Some(Format::Legacy)
    } else {
        None
    }
}

/// Reads a file; floats come back as `f32`, integers as `i64`, bytes and booleans as `u8`.
///
/// # Errors
/// [`Error::File`](crate::Error::File) that names the file and what is wrong or refused.
pub fn load(path: &Path, device: &Device) -> Result<Tensors> {
    floats_as_f32(from_bytes(&read(path)?, path, device)?)
}

/// [`load`] of a file's bytes with float types kept; `path` is only named in errors.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(bytes: &[u8], path: &Path, device: &Device) -> Result<Tensors> {
    Ok(read_with_notes(bytes, path, device)?.0)
}

/// [`from_bytes`], and what is to be said of which tensors were taken.
pub(super) fn read_with_notes(bytes: &[u8], path: &Path, device: &Device) -> Result<(Tensors, Vec<String>)> {
    let read = match format_of(bytes) {
        Some(Format::Zip) => zip::read(bytes, device),
        Some(Format::Legacy) => legacy::read(bytes, device),
        None => Err("neither of PyTorch's checkpoint formats".into()),
    };
    read.map_err(|refusal| refusal.at(path))
}
