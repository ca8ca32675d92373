use super::{Metadata, Tensors, safetensors, torch};
use crate::{Error, Result, Shapes};
use candle_core::Device;
use std::path::Path;

/// A weight file of any kind that is read here.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What it is, in words.
    pub format: &'static str,
    /// Floats as `f32`; names without a `module.` before all of them.
    pub tensors: Tensors,
    /// The writer's, if it is safetensors.
    pub metadata: Metadata,
}

impl Opened {
    /// Shapes by name.
    pub fn shapes(&self) -> Shapes {
        self.tensors.iter().map(|(name, t)| (name.clone(), t.dims().to_vec())).collect()
    }
}

/// Opens a weight file by what it holds, whatever it is called: safetensors, or a PyTorch checkpoint of either format.
///
/// # Errors
/// [`Error::File`] that names the file and, where it is none of these, what it seems to be.
pub fn open(path: &Path, device: &Device) -> Result<Opened> {
    let bytes = read(path)?;
    if let Some(format) = torch::format_of(&bytes) {
        let tensors = torch::strip_module(torch::single(torch::from_bytes(&bytes, path, device)?)?);
        let format = match format {
            torch::Format::Zip => "PyTorch checkpoint (zip)",
            torch::Format::Legacy => "PyTorch checkpoint (legacy)",
        };
        return Ok(Opened { format, tensors, metadata: Metadata::new() });
    }
    if let Some(seems) = impostor(&bytes) {
        return Err(Error::file(path, format!("no weight file: {seems}")));
    }
    let (tensors, metadata) = safetensors::from_bytes(&bytes, path, device)?;
    let tensors = torch::single(tensors)?;
    Ok(Opened { format: "safetensors", tensors: torch::strip_module(tensors), metadata })
}

/// A whole regular file: a device or pipe has no size that could bound it, and may never end.
///
/// # Errors
/// [`Error::File`] that names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let bad = |e: std::io::Error| Error::file(path, format!("cannot be read: {e}"));
    let meta = std::fs::metadata(path).map_err(bad)?;
    match meta {
        _ if meta.is_dir() => Err(Error::file(path, "is a folder; give a file in it")),
        _ if !meta.is_file() => Err(Error::file(path, "is a pipe or device; give a regular file")),
        _ => std::fs::read(path).map_err(bad),
    }
}

/// What a file that is no weight file seems to be.
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
        // A safetensors header begins with its length and a brace.
        [0x80, 2..=5, ..] if bytes.get(8) != Some(&b'{') => "it is a Python pickle without PyTorch's header",
        _ if starts(b"(") || starts(b"]") => "it is a Python pickle without PyTorch's header",
        _ => return None,
    })
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
            (b"hello", "not a whole safetensors file"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let message = open(&path, &Device::Cpu).unwrap_err().to_string();
            assert!(message.contains(said) && message.contains("w.pth"), "{message}");
        }
    }
}
