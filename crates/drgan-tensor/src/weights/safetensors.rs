//! Named tensors and metadata in one `.safetensors` file.
use super::tensors::{self, ElementType, Metadata, Tensors};
use super::unrepeated::repeated_key;
use crate::error::Cause;
use crate::file::{open, read, write_atomic};
use crate::text::escaped;
use crate::{Error, Result};
use ::safetensors::Dtype;
use ::safetensors::tensor::{TensorInfo, TensorView};
use candle_core::Device;
use candle_core::safetensors::Load;
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The one key all metadata are kept under, as JSON: the format's own map has no order, and equal contents
/// should be equal bytes.
const META_KEY: &str = "drgan";

/// What is said of bytes that cannot be read as this format.
const NOT_WHOLE: &str = "not a whole safetensors file";

/// Whether bytes are built as a safetensors file: the length of a header that lies within them, then the header's brace. A
/// file's first bytes may be anything, so that this is asked before marks of other formats are looked for.
pub(super) fn has_header(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
    let header = usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|length| rest.get(..length));
    header.is_some_and(|header| header.starts_with(b"{"))
}

/// Whether a file's first bytes can be the length of a safetensors header, of which the format allows 100 MB; also of fewer bytes.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    bytes.first_chunk::<8>().is_none_or(|length| u64::from_le_bytes(*length) <= 100_000_000)
}

/// The bytes of a safetensors file; equal contents give equal bytes.
///
/// # Errors
/// A tensor type the format lacks.
pub fn to_bytes(tensors: &Tensors, meta: &Metadata) -> Result<Vec<u8>> {
    let json = serde_json::to_string(meta).map_err(candle_core::Error::wrap)?;
    let info = HashMap::from([(META_KEY.to_owned(), json)]);
    let bytes = ::safetensors::serialize(tensors.iter(), Some(info)).map_err(candle_core::Error::wrap)?;
    Ok(bytes)
}

/// The reverse of [`to_bytes`]; `path` is only named in errors. Types are kept where candle has them: 8-bit integers
/// become `i64`, booleans `u8`. Metadata of other writers are passed on as they are.
///
/// # Errors
/// [`Error::File`] when the bytes are cut short or are not a safetensors file.
pub fn from_bytes(bytes: &[u8], path: &Path, device: &Device) -> Result<(Tensors, Metadata)> {
    let bad = |e: Cause| Error::file_because(path, NOT_WHOLE, e);
    // `deserialize` checks lengths and offsets, which `read_metadata` alone does not.
    let whole = ::safetensors::SafeTensors::deserialize(bytes).map_err(|e| bad(e.into()))?;
    let (length, header) = ::safetensors::SafeTensors::read_metadata(bytes).map_err(|e| bad(e.into()))?;
    refuse_repeated(&bytes[8..8 + length], "header", path)?;
    let meta = match header.metadata() {
        None => Metadata::new(),
        Some(map) => match map.get(META_KEY) {
            Some(json) => {
                refuse_repeated(json.as_bytes(), "metadata", path)?;
                serde_json::from_str(json).map_err(|e| bad(e.into()))?
            }
            None => map.clone().into_iter().collect(),
        },
    };
    let tensor = |(name, view): (String, TensorView<'_>)| {
        let made = match view.dtype() {
            // Types that candle lacks.
            Dtype::BOOL => tensors::values(view.data(), ElementType::Bool, view.shape(), device),
            Dtype::I8 => tensors::values(view.data(), ElementType::I8, view.shape(), device),
            _ => view.load(device),
        };
        let made = made.map_err(|e| {
            let reason = e.to_string();
            let reason = reason.lines().next().unwrap_or_default(); // without candle's backtrace
            Error::file(path, format!("tensor `{}` of type {:?}: {reason}", escaped(&name), view.dtype()))
        })?;
        Ok((name, made))
    };
    Ok((whole.tensors().into_iter().map(tensor).collect::<Result<_>>()?, meta))
}

/// Refuses a part of the file where a key stands twice: a tensor's name, or one of the metadata.
fn refuse_repeated(json: &[u8], part: &str, path: &Path) -> Result<()> {
    match repeated_key(json) {
        Some(name) => {
            let reason = format!("its {part} names `{}` twice; which is meant?", escaped(&name));
            Err(Error::file(path, reason))
        }
        None => Ok(()),
    }
}

/// The tensors of a file whose names are `wanted`, and all metadata; the rest is not read.
///
/// # Errors
/// [`Error::File`] that names the file.
pub fn load_part(path: &Path, wanted: impl Fn(&str) -> bool, device: &Device) -> Result<(Tensors, Metadata)> {
    let unreadable = |e: std::io::Error| Error::file_because(path, "cannot be read", e);
    let bad = |e: Cause| Error::file_because(path, NOT_WHOLE, e);
    let mut file = open(path)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix).map_err(|e| bad(e.into()))?;
    let header = 8 + u64::from_le_bytes(prefix).min(length); // reading finds out that a longer one is not a header
    let mut bytes = prefix.to_vec();
    (&file).take(header - 8).read_to_end(&mut bytes).map_err(unreadable)?;
    refuse_repeated(&bytes[8..], "header", path)?;
    let all: ::safetensors::tensor::Metadata =
        serde_json::from_slice(&bytes[8..]).map_err(|e| bad(e.into()))?;
    let tensors = all.tensors();
    let end = tensors.values().map(|info| info.data_offsets.1).max().unwrap_or(0) as u64;
    if header + end != length {
        return Err(bad(format!("{length} bytes, expected {}", header + end).into()));
    }

    // A file of the wanted tensors alone.
    let mut kept: Vec<_> = tensors.into_iter().filter(|(name, _)| wanted(name)).collect();
    kept.sort_by_key(|(_, info)| info.data_offsets);
    let (mut part, mut data) = (Vec::with_capacity(kept.len()), Vec::new());
    for (name, info) in kept {
        let (from, to) = info.data_offsets;
        let size =
            to.checked_sub(from).ok_or_else(|| bad(format!("`{name}` ends before it starts").into()))?;
        file.seek(SeekFrom::Start(header + from as u64)).map_err(unreadable)?;
        let start = data.len();
        (&file).take(size as u64).read_to_end(&mut data).map_err(unreadable)?;
        let info = TensorInfo { data_offsets: (start, data.len()), ..info.clone() };
        part.push((name, info));
    }
    let part =
        ::safetensors::tensor::Metadata::new(all.metadata().clone(), part).map_err(|e| bad(e.into()))?;
    let json = serde_json::to_vec(&part).map_err(|e| bad(e.into()))?;
    let bytes = [&(json.len() as u64).to_le_bytes()[..], &json, &data].concat();
    from_bytes(&bytes, path, device)
}

/// Reads a file; tensors of any float type come back as `f32`, others as they are.
///
/// # Errors
/// [`Error::File`] that names the file.
pub fn load(path: &Path, device: &Device) -> Result<(Tensors, Metadata)> {
    let (tensors, meta) = from_bytes(&read(path)?, path, device)?;
    Ok((tensors::floats_as_f32(tensors)?, meta))
}

/// Writes a file whole or not at all, as [`write_atomic`] does.
///
/// # Errors
/// [`Error::File`] that names the file; what was there before is untouched.
pub fn save(path: &Path, tensors: &Tensors, meta: &Metadata) -> Result<()> {
    write_atomic(path, &to_bytes(tensors, meta)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Tensor};

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
    fn a_part_is_the_whole_without_the_rest() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        let named = |name: &str, v: f32, n: usize| -> Result<_> {
            Ok((name.to_owned(), Tensor::full(v, n, &Device::Cpu)?))
        };
        let tensors = Tensors::from([named("a.x", 1., 3)?, named("b.x", 2., 5)?, named("a.y", 3., 2)?]);
        let meta = Metadata::from([("key".to_owned(), "value".to_owned())]);
        save(&path, &tensors, &meta)?;
        let (part, m) = load_part(&path, |name| name.starts_with("a."), &Device::Cpu)?;
        assert_eq!((m, part.keys().map(String::as_str).collect::<Vec<_>>()), (meta, vec!["a.x", "a.y"]));
        assert_eq!(part["a.x"].to_vec1::<f32>()?, [1.; 3]);
        assert_eq!(part["a.y"].to_vec1::<f32>()?, [3.; 2]);
        assert!(load_part(&path, |_| false, &Device::Cpu)?.0.is_empty());

        let bytes = std::fs::read(&path).unwrap();
        for len in [0, 5, 8, 20, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let e = load_part(&path, |_| false, &Device::Cpu).unwrap_err().to_string();
            assert!(e.contains("w.safetensors") && e.contains("not a whole"), "{len}: {e}");
        }
        Ok(())
    }

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.safetensors");
        let one = r#""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
        for (json, said) in [
            (format!("{{{one},{one}}}"), "header names `w` twice"),
            (format!(r#"{{"__metadata__":{{"k":"1","k":"2"}},{one}}}"#), "header names `k` twice"),
            (
                format!(r#"{{"__metadata__":{{"drgan":"{{\"step\":\"1\",\"step\":\"2\"}}"}},{one}}}"#),
                "metadata names `step` twice",
            ),
        ] {
            let bytes = [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &[0; 4]].concat();
            let e = from_bytes(&bytes, &path, &Device::Cpu).unwrap_err().to_string();
            assert!(e.contains("t.safetensors") && e.contains(said), "{e}");
            std::fs::write(&path, &bytes).unwrap();
            let e = load_part(&path, |_| true, &Device::Cpu).unwrap_err().to_string();
            assert!(e.contains("t.safetensors") && e.contains(said), "{e}");
        }
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.safetensors");
        assert!(load(&missing, &Device::Cpu).unwrap_err().to_string().contains("missing.safetensors"));
        std::fs::write(&missing, b"not this").unwrap();
        assert!(load(&missing, &Device::Cpu).unwrap_err().to_string().contains("not a whole safetensors"));
    }
}
