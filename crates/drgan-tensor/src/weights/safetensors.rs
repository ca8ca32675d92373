//! Named tensors and metadata in one `.safetensors` file.
use super::open::read;
use super::torch::storage::{self, Kind};
use crate::{Error, Result};
use ::safetensors::{Dtype, tensor::TensorView};
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;
/// Free text by key.
pub type Metadata = BTreeMap<String, String>;

/// The one key all metadata are kept under, as JSON: the format's own map has no order, and equal contents
/// should be equal bytes.
const META_KEY: &str = "drgan";

/// The file's bytes; equal contents give equal bytes.
///
/// # Errors
/// A tensor type the format lacks.
pub fn to_bytes(tensors: &Tensors, meta: &Metadata) -> Result<Vec<u8>> {
    let json = serde_json::to_string(meta).map_err(candle_core::Error::wrap)?;
    let info = HashMap::from([(META_KEY.to_owned(), json)]);
    let bytes = ::safetensors::serialize(tensors.iter(), Some(info)).map_err(candle_core::Error::wrap)?;
    Ok(bytes)
}

/// The reverse of [`to_bytes`], types kept where candle has them (8-bit integers become `i64`, booleans `u8`); `path` is only named in errors. Metadata of other writers are
/// passed on as they are.
///
/// # Errors
/// [`Error::File`] when the bytes are cut short or are no safetensors file.
pub fn from_bytes(bytes: &[u8], path: &Path, device: &Device) -> Result<(Tensors, Metadata)> {
    let bad = |e: &dyn std::fmt::Display| Error::file(path, format!("not a whole safetensors file: {e}"));
    // `deserialize` checks lengths and offsets, which `read_metadata` alone does not.
    let whole = ::safetensors::SafeTensors::deserialize(bytes).map_err(|e| bad(&e))?;
    let (_, header) = ::safetensors::SafeTensors::read_metadata(bytes).map_err(|e| bad(&e))?;
    let meta = match header.metadata() {
        None => Metadata::new(),
        Some(map) => match map.get(META_KEY) {
            Some(json) => serde_json::from_str(json).map_err(|e| bad(&e))?,
            None => map.clone().into_iter().collect(),
        },
    };
    let tensor = |(name, view): (String, TensorView<'_>)| {
        let made = match view.dtype() {
            // Types that candle lacks.
            Dtype::BOOL => storage::values(view.data(), Kind::Bool, view.shape(), device),
            Dtype::I8 => storage::values(view.data(), Kind::I8, view.shape(), device),
            _ => view.load(device),
        };
        let made = made.map_err(|e| {
            let reason = e.to_string();
            let reason = reason.lines().next().unwrap_or_default();
            Error::file(path, format!("tensor `{name}` of type {:?}: {reason}", view.dtype()))
        })?;
        Ok((name, made))
    };
    Ok((whole.tensors().into_iter().map(tensor).collect::<Result<_>>()?, meta))
}

/// Reads a file; tensors of any float type come back as `f32`, others as they are.
///
/// # Errors
/// [`Error::File`] that names the file.
pub fn load(path: &Path, device: &Device) -> Result<(Tensors, Metadata)> {
    let (tensors, meta) = from_bytes(&read(path)?, path, device)?;
    Ok((super::torch::single(tensors)?, meta))
}

/// Writes a file beside `path` and renames it: a reader sees the old file or the new one, never half of one.
///
/// # Errors
/// [`Error::File`] that names the file; what was there before is untouched.
pub fn save(path: &Path, tensors: &Tensors, meta: &Metadata) -> Result<()> {
    write_atomic(path, &to_bytes(tensors, meta)?)
}

/// [`save`] for bytes of any kind: `path` with `.partial` added, synced, renamed.
///
/// # Errors
/// As [`save`]; the partial file is removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic_through(path, bytes, |f| f)
}

/// [`write_atomic`] with something between the bytes and the file; a test's full disk goes there.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_atomic_through<'f, W: Write + 'f>(
    path: &Path,
    bytes: &[u8],
    wrap: impl FnOnce(std::fs::File) -> W,
) -> Result<()> {
    let partial = PathBuf::from(format!("{}.partial", path.display()));
    let written = (|| {
        let file = std::fs::File::create(&partial)?;
        let handle = file.try_clone()?;
        let mut out = wrap(file);
        out.write_all(bytes)?;
        out.flush()?;
        handle.sync_all()?;
        std::fs::rename(&partial, path)
    })();
    written.map_err(|e| {
        // The first error is the one to tell; a partial file that cannot be removed is harmless.
        let _ = std::fs::remove_file(&partial);
        Error::file(path, format!("cannot be written: {e}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    #[test]
    fn floats_come_back_as_f32_and_bytes_do_not_vary() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        let x = Tensor::new(&[0.5f64, -2.], &Device::Cpu)?;
        let tensors = Tensors::from([
            ("d".to_owned(), x.clone()),
            ("h".to_owned(), x.to_dtype(DType::F16)?),
            ("n".to_owned(), Tensor::new(7u32, &Device::Cpu)?),
            ("none".to_owned(), Tensor::zeros((0, 3), DType::F32, &Device::Cpu)?),
        ]);
        let meta: Metadata = (0..20).map(|i| (format!("k{i}"), format!("v \"{i}\""))).collect();
        save(&path, &tensors, &meta)?;
        assert_eq!(std::fs::read(&path).unwrap(), to_bytes(&tensors, &meta)?);
        let (back, m) = load(&path, &Device::Cpu)?;
        assert_eq!(m, meta);
        assert_eq!(back["d"].to_vec1::<f32>()?, [0.5, -2.]);
        assert_eq!(back["h"].to_vec1::<f32>()?, [0.5, -2.]);
        assert_eq!(back["n"].to_scalar::<u32>()?, 7);
        assert_eq!(back["none"].dims(), [0, 3]);
        Ok(())
    }

    #[test]
    fn types_that_candle_lacks_are_read_wider() {
        use ::safetensors::tensor::TensorView;
        let path = Path::new("t.safetensors");
        let of = |dtype: Dtype, data: &[u8]| {
            let view = TensorView::new(dtype, vec![2], data).unwrap();
            let bytes = ::safetensors::serialize([("t", view)], None).unwrap();
            from_bytes(&bytes, path, &Device::Cpu).map(|(t, _)| t["t"].clone())
        };
        assert_eq!(of(Dtype::BOOL, &[0, 1]).unwrap().to_vec1::<u8>().unwrap(), [0, 1]);
        assert_eq!(of(Dtype::I8, &[255, 1]).unwrap().to_vec1::<i64>().unwrap(), [-1, 1]);
        let e = of(Dtype::C64, &[0; 16]).unwrap_err().to_string();
        assert!(e.contains("tensor `t` of type C64") && e.contains("t.safetensors"), "{e}");
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.safetensors");
        assert!(load(&missing, &Device::Cpu).unwrap_err().to_string().contains("missing.safetensors"));
        std::fs::write(&missing, b"not this").unwrap();
        assert!(load(&missing, &Device::Cpu).unwrap_err().to_string().contains("not a whole safetensors"));
        let nowhere = dir.path().join("no/such/folder.safetensors");
        assert!(write_atomic(&nowhere, b"x").unwrap_err().to_string().contains("folder.safetensors"));
    }
}
