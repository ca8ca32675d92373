//! The checkpoint format since PyTorch 1.6: a zip archive of stored entries.
use super::globals::{Storage, TorchGlobals};
use super::refusal::Refusal;
use super::state_dict;
use super::storage::{Raw, element_type};
use crate::text::counted;
use crate::weights::pickle::machine::Machine;
use crate::weights::pickle::reader::Reader;
use crate::weights::tensors::Tensors;
use ::zip::{CompressionMethod, ZipArchive};
use candle_core::Device;
use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Cursor;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

pub(super) fn read(bytes: &[u8], device: &Device) -> Result<(Tensors, Vec<String>), Refusal> {
    let mut archive =
        Archive::new(Cursor::new(bytes)).map_err(|e| Refusal::because("a damaged zip archive", e))?;
    if let Some(name) = repeated_entry(bytes, archive.central_directory_start()) {
        return Err(format!("a zip archive with two entries `{name}`").into());
    }
    let names: Vec<String> = archive.file_names().flatten().map(|name| name.into_owned()).collect();
    if names.iter().any(|name| name.ends_with("/constants.pkl")) {
        return Err("a TorchScript archive: save its state_dict instead".into());
    }
    let mut pickles: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| name.ends_with("/data.pkl")).collect();
    pickles.sort_unstable();
    let pickle = match pickles[..] {
        [] => return Err("a zip archive without `data.pkl`".into()),
        [only] => only,
        [first, second, ..] => {
            return Err(format!("a zip archive with two checkpoints, `{first}` and `{second}`").into());
        }
    };
    let prefix = pickle.trim_end_matches("data.pkl").to_owned();
    if let Ok(order) = entry(&mut archive, bytes, &format!("{prefix}byteorder"))
        && order != b"little"
    {
        return Err("it was written on a big-endian machine".into());
    }
    let mut machine = Machine::new(TorchGlobals);
    let object = machine.run(&mut Reader::new(entry(&mut archive, bytes, pickle)?))?;
    let archive = RefCell::new(archive);
    state_dict::tensors(&machine, &object, bytes.len(), device, |storage: &Storage| {
        let kind = element_type(&storage.kind)?;
        let data = entry(&mut archive.borrow_mut(), bytes, &format!("{prefix}data/{}", storage.key))?;
        // Newer writers pad nothing; the pickle's count is what the storage holds.
        let size = storage.len.checked_mul(kind.width()).filter(|size| *size <= data.len());
        let size = size.ok_or_else(|| {
            let (claimed, held) = (counted(storage.len, "value[|s]"), counted(data.len(), "byte[|s]"));
            format!("its storage `{}` claims {claimed} and holds {held}", storage.key)
        })?;
        Ok(Raw { kind, bytes: &data[..size] })
    })
}

/// The first name that stands twice in an archive's directory, which starts at byte `at`.
fn repeated_entry(bytes: &[u8], at: u64) -> Option<String> {
    let mut rest = bytes.get(usize::try_from(at).ok()?..)?;
    let mut names = HashSet::new();
    while rest.len() >= 46 && rest.starts_with(b"PK\x01\x02") {
        let length = |at: usize| usize::from(u16::from_le_bytes([rest[at], rest[at + 1]]));
        let name = rest.get(46..46 + length(28))?;
        if !names.insert(name) {
            return Some(String::from_utf8_lossy(name).into_owned());
        }
        rest = rest.get(46 + length(28) + length(30) + length(32)..)?;
    }
    None
}

/// The bytes of the stored entry `name`, borrowed from the file.
fn entry<'a>(archive: &mut Archive<'a>, bytes: &'a [u8], name: &str) -> Result<&'a [u8], Refusal> {
    let file = archive.by_name(name).map_err(|e| Refusal::because(format!("entry `{name}`"), e))?;
    if file.compression() != CompressionMethod::Stored {
        return Err(format!("entry `{name}` is compressed, which PyTorch never does").into());
    }
    let range = file
        .data_start()
        .and_then(|start| usize::try_from(start).ok())
        .zip(usize::try_from(file.size()).ok());
    let part = range.and_then(|(start, size)| bytes.get(start..start.checked_add(size)?));
    part.ok_or_else(|| format!("entry `{name}` reaches past the end: the file is cut short").into())
}
