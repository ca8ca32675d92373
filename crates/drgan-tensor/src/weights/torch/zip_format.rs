//! The format since PyTorch 1.6.
use super::objects::Storage;
use super::pickle::{Bytes, Machine};
use super::storage::{Kind, Raw};
use crate::weights::Tensors;
use candle_core::Device;
use std::cell::RefCell;
use std::io::Cursor;
use zip::{CompressionMethod, ZipArchive};

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

pub(super) fn read(bytes: &[u8], device: &Device) -> Result<Tensors, String> {
    let mut archive = Archive::new(Cursor::new(bytes)).map_err(|e| format!("a damaged zip archive: {e}"))?;
    let names: Vec<String> = archive.file_names().flatten().map(|name| name.into_owned()).collect();
    if names.iter().any(|name| name.ends_with("/constants.pkl")) {
        return Err("a TorchScript archive: save its state_dict instead".into());
    }
    let pickle = names.iter().find(|name| name.ends_with("/data.pkl"));
    let pickle = pickle.ok_or("a zip archive without `data.pkl`")?;
    let prefix = pickle.trim_end_matches("data.pkl").to_owned();
    if let Ok(order) = entry(&mut archive, bytes, &format!("{prefix}byteorder"))
        && order != b"little"
    {
        return Err("it was written on a big-endian machine".into());
    }
    let mut machine = Machine::default();
    let object = machine.run(&mut Bytes::new(entry(&mut archive, bytes, pickle)?))?;
    let archive = RefCell::new(archive);
    super::tensors(&machine, &object, bytes.len(), device, |storage: &Storage| {
        let kind = Kind::of(&storage.kind)?;
        let data = entry(&mut archive.borrow_mut(), bytes, &format!("{prefix}data/{}", storage.key))?;
        // Newer writers pad nothing; the pickle's count is what the storage holds.
        let size = storage.len.checked_mul(kind.width()).filter(|size| *size <= data.len());
        let size = size.ok_or_else(|| {
            format!(
                "its storage `{}` claims {} values and holds {} bytes",
                storage.key,
                storage.len,
                data.len()
            )
        })?;
        Ok(Raw { kind, bytes: &data[..size] })
    })
}

/// The bytes of a stored entry, where they lie.
fn entry<'a>(archive: &mut Archive<'a>, bytes: &'a [u8], name: &str) -> Result<&'a [u8], String> {
    let file = archive.by_name(name).map_err(|e| format!("entry `{name}`: {e}"))?;
    if file.compression() != CompressionMethod::Stored {
        return Err(format!("entry `{name}` is compressed, which PyTorch never does"));
    }
    let range = file
        .data_start()
        .and_then(|start| usize::try_from(start).ok())
        .zip(usize::try_from(file.size()).ok());
    let part = range.and_then(|(start, size)| bytes.get(start..start.checked_add(size)?));
    part.ok_or_else(|| format!("entry `{name}` reaches past the end: the file is cut short"))
}
