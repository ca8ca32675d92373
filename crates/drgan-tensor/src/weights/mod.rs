//! Weight files: safetensors, and PyTorch's checkpoints with the feature `torch`.
//!
//! ```
//! use drgan_tensor::prelude::*;
//! use drgan_tensor::weights::{self, Metadata, safetensors};
//!
//! let store = ParamStore::seeded(1);
//! nn::Linear::new(3, 2, store.builder(DType::F32, &Device::Cpu))?;
//! let bytes = safetensors::to_bytes(&store.views(), &Metadata::new())?;
//!
//! let file = weights::from_bytes(&bytes, "linear.safetensors".as_ref(), &Device::Cpu)?;
//! assert_eq!((file.format, file.shapes()["weight"].as_slice()), ("safetensors", [2, 3].as_slice()));
//! store.assign(&file.tensors)?;
//! # Ok::<(), drgan_tensor::Error>(())
//! ```
pub(crate) mod pickle;
pub mod safetensors;
mod tensors;
#[cfg(feature = "torch")]
pub mod torch;
pub(crate) mod unrepeated;

pub use tensors::{Metadata, Tensors, strip_module};

use crate::file;
use crate::{Error, Result, Shapes};
use candle_core::Device;
use std::path::Path;

/// A weight file of any format that is read here.
#[derive(Clone, Debug)]
pub struct WeightFile {
    /// The format in words: `"safetensors"`, `"PyTorch checkpoint (zip)"`, `"PyTorch checkpoint (legacy)"`.
    pub format: &'static str,
    /// All tensors by name, floats as `f32`; names are without a `module.` that stands before all of them.
    pub tensors: Tensors,
    /// The metadata of a safetensors file; empty for other formats.
    pub metadata: Metadata,
    /// What whoever uses the file should know, a sentence each: which of several sets of weights was taken, which values are
    /// not finite.
    pub notes: Vec<String>,
}

impl WeightFile {
    /// The shape of each tensor, by name.
    pub fn shapes(&self) -> Shapes {
        tensors::shapes(&self.tensors)
    }
}

/// Opens a weight file by what it holds, whatever its name: safetensors, or a PyTorch checkpoint of either format.
///
/// # Errors
/// [`Error::File`] that names the file and, where it is none of these, what it seems to be.
pub fn open(path: &Path, device: &Device) -> Result<WeightFile> {
    from_bytes(&file::read(path)?, path, device)
}

/// [`open`] for the bytes of a file; `path` is only named in errors.
///
/// # Errors
/// As [`open`], but for reading the file.
pub fn from_bytes(bytes: &[u8], path: &Path, device: &Device) -> Result<WeightFile> {
    let structured = safetensors::has_header(bytes);
    #[cfg(feature = "torch")]
    if !structured && let Some(format) = torch::format_of(bytes) {
        let (read, mut notes) = torch::read_with_notes(bytes, path, device)?;
        let tensors = strip_module(tensors::floats_as_f32(read)?);
        notes.extend(tensors::not_finite(&tensors)?);
        let format = match format {
            torch::Format::Zip => "PyTorch checkpoint (zip)",
            torch::Format::Legacy => "PyTorch checkpoint (legacy)",
        };
        return Ok(WeightFile { format, tensors, metadata: Metadata::new(), notes });
    }
    if !structured && let Some(seems) = impostor(bytes) {
        return Err(Error::file(path, format!("not a weight file: {seems}")));
    }
    let (read, metadata) = safetensors::from_bytes(bytes, path, device)?;
    let tensors = strip_module(tensors::floats_as_f32(read)?);
    let notes = tensors::not_finite(&tensors)?.into_iter().collect();
    Ok(WeightFile { format: "safetensors", tensors, metadata, notes })
}

/// What a file that is not a weight file seems to be.
fn impostor(bytes: &[u8]) -> Option<&'static str> {
    let starts = |with: &[u8]| bytes.starts_with(with);
    Some(match bytes {
        [] => "it is empty",
        _ if starts(b"version https://git-lfs") => {
            "it is a pointer of Git LFS; fetch the file itself with `git lfs pull`"
        }
        _ if starts(b"<") => "it is a web page; a download that asked for a confirmation?",
        _ if starts(&[0x1f, 0x8b]) => "it is gzip-compressed; unpack it first",
        _ if bytes.get(257..262) == Some(b"ustar") => "it is a tar archive; unpack it first",
        #[cfg(not(feature = "torch"))]
        _ if starts(b"PK\x03\x04") => {
            "it is a zip archive, as PyTorch writes; this build reads safetensors only"
        }
        _ if is_index(bytes) => {
            "it is the index of a model in several parts, which says in which file each tensor is; give the parts' tensors in one file"
        }
        [0x80, 2..=5, ..] => "it is a Python pickle without PyTorch's header",
        _ if starts(b"(") || starts(b"]") => "it is a Python pickle without PyTorch's header",
        _ if starts(b"PK\x05\x06") => "it is a zip archive without entries",
        _ if !safetensors::may_begin(bytes) => "it begins neither as safetensors nor as a PyTorch checkpoint",
        _ => return None,
    })
}

/// Whether a file is the index of a model in several files, as Hugging Face's libraries write it.
fn is_index(bytes: &[u8]) -> bool {
    let json = || serde_json::from_slice::<serde_json::Value>(bytes).ok();
    bytes.trim_ascii_start().starts_with(b"{") && json().is_some_and(|json| json.get("weight_map").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_refused_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(open(dir.path(), &Device::Cpu).unwrap_err().to_string().contains("is a folder"));
        let zero = Path::new("/dev/zero");
        if zero.exists() {
            assert!(open(zero, &Device::Cpu).unwrap_err().to_string().contains("pipe or device"));
        }
    }

    /// The length of the header is a file's first bytes, and may be any number.
    #[test]
    fn every_first_byte_of_a_safetensors_file_is_read() {
        for first in 0..=255usize {
            let json = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
            // A second byte as in a pickle's protocol or a zip archive's mark, too.
            for second in [1, 2, 5, usize::from(b'K'), 0x8b] {
                let length = first + 256 * second;
                let mut bytes = (length as u64).to_le_bytes().to_vec();
                bytes.extend(json);
                bytes.resize(8 + length, b' ');
                bytes.extend(2.5f32.to_le_bytes());
                let file = from_bytes(&bytes, Path::new("w.safetensors"), &Device::Cpu).unwrap();
                assert_eq!(file.tensors["w"].to_vec1::<f32>().unwrap(), [2.5], "{first} {second}");
            }
        }
    }

    #[test]
    fn a_pickle_whose_ninth_byte_is_a_brace_is_none_the_less_a_pickle() {
        let e = from_bytes(b"(X\x03\0\0\0ab{.", Path::new("w.pkl"), &Device::Cpu).unwrap_err().to_string();
        assert!(e.contains("Python pickle"), "{e}");
    }

    #[test]
    fn text_of_a_file_does_not_reach_a_terminal_as_it_is() {
        let json = "{\"a\\u001b[2J\\n\":{\"dtype\":\"C64\",\"shape\":[0],\"data_offsets\":[0,0]}}";
        let bytes = [&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat();
        let e = from_bytes(&bytes, Path::new("w\u{1b}"), &Device::Cpu).unwrap_err().to_string();
        assert!(e.contains(r"a\u{1b}[2J\n") && !e.chars().any(char::is_control), "{e}");
    }

    #[test]
    fn what_a_file_seems_to_be_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.pth");
        for (bytes, said) in [
            (b"".as_slice(), "empty"),
            (b"<!DOCTYPE html>", "web page"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (b"\x80\x02}q\0.", "Python pickle"),
            (b"\x1f\x8b\x08", "gzip"),
            (
                br#" {"metadata": {}, "weight_map": {"w": "a-00001-of-00002.safetensors"}}"#,
                "in several parts",
            ),
            (b"hello", "not a whole safetensors file"),
            (b"hello, world", "begins neither as safetensors nor as a PyTorch checkpoint"),
            (b"\x89HDF\r\n\x1a\n", "begins neither"),
            (b"PK\x05\x06\0\0\0\0\0\0", "zip archive without entries"),
            (b"\x64\0\0\0\0\0\0\0{}", "not a whole safetensors file"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let message = open(&path, &Device::Cpu).unwrap_err().to_string();
            assert!(message.contains(said) && message.contains("w.pth"), "{message}");
        }
    }
}
