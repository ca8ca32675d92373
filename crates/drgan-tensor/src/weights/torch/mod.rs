//! PyTorch's two checkpoint formats, read without running anything of them.
//!
//! The **zip** format (since 1.6): an archive of stored entries, `NAME/data.pkl` and a storage each in `NAME/data/KEY`. The
//! **legacy** format: five pickles (magic number, protocol, system, object, storage keys), then each storage's length
//! and values. In both the object is a pickle whose tensors are views of storages: shape, strides, offset.
//!
//! What is read: a state dict, or dictionaries with one inside (`state_dict`, `model`, ...). What is refused, by name: any
//! function but those of tensors and plain containers, whole pickled modules, one of several state dicts, big-endian files, views
//! that leave their storage. Allocation is bounded by a small multiple of the file's size.
mod legacy;
mod objects;
pub(crate) mod pickle;
mod state_dict;
pub(super) mod storage;
mod zip_format;

use super::safetensors::Tensors;
use crate::weights::open::read;
use crate::{Error, Result};
use candle_core::Device;
use objects::Storage;
use pickle::{Machine, Value};
use std::path::Path;
use storage::Raw;

/// Tensors of a file, whatever is shared between them counted each time, may take this many times its size.
const EXPANSION: usize = 8;

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Since PyTorch 1.6.
    Zip,
    /// Before, and on request since.
    Legacy,
}

/// The format by a file's first bytes.
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
/// [`Error::File`] that names the file and what is wrong or refused.
pub fn load(path: &Path, device: &Device) -> Result<Tensors> {
    single(from_bytes(&read(path)?, path, device)?)
}

/// [`load`] of a file's bytes with float types kept; `path` is only named in errors.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(bytes: &[u8], path: &Path, device: &Device) -> Result<Tensors> {
    let read = match format_of(bytes) {
        Some(Format::Zip) => zip_format::read(bytes, device),
        Some(Format::Legacy) => legacy::read(bytes, device),
        None => Err("neither of PyTorch's checkpoint formats".to_owned()),
    };
    read.map_err(|e| Error::file(path, format!("not readable as a PyTorch checkpoint: {e}")))
}

/// Floats as `f32`, others as they are.
pub(super) fn single(tensors: Tensors) -> Result<Tensors> {
    Ok(tensors.into_iter().map(|(n, t)| Ok((n, storage::single(t)?))).collect::<candle_core::Result<_>>()?)
}

/// Names without the `module.` that `DataParallel` puts before each, if it stands before all.
pub fn strip_module(tensors: Tensors) -> Tensors {
    if tensors.is_empty() || !tensors.keys().all(|name| name.starts_with("module.")) {
        return tensors;
    }
    tensors.into_iter().map(|(name, t)| (name["module.".len()..].to_owned(), t)).collect()
}

/// The tensors of a pickled object whose storages `raw` finds by key; `file` is the whole file's length.
fn tensors<'a>(
    machine: &Machine,
    object: &Value,
    file: usize,
    device: &Device,
    raw: impl Fn(&Storage) -> std::result::Result<Raw<'a>, String>,
) -> std::result::Result<Tensors, String> {
    let mut budget = file.saturating_mul(EXPANSION);
    let mut out = Tensors::new();
    for (name, view) in state_dict::find(machine, object)? {
        let made = raw(&view.storage).and_then(|raw| storage::tensor(&view, &raw, &mut budget, device));
        let made = made.map_err(|e| format!("tensor `{name}`: {e}"))?;
        out.insert(name.to_string(), made);
    }
    Ok(out)
}
