//! The format before PyTorch 1.6.
use super::objects::Storage;
use super::pickle::{Bytes, Machine, Value, describe};
use super::storage::{Kind, Raw};
use crate::weights::Tensors;
use candle_core::Device;
use std::collections::HashMap;
use std::rc::Rc;

/// `0x1950a86a20f9469cfc6c`, the first pickle's number.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The magic number is the third value of any legacy file: `PROTO n`, `LONG1 10`, the number.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.len() >= 14 && bytes[0] == 0x80 && bytes[2..4] == [0x8a, 10] && bytes[4..14] == MAGIC
}

pub(super) fn read(bytes: &[u8], device: &Device) -> Result<Tensors, String> {
    let mut input = Bytes::new(bytes);
    pickle(&mut input)?; // the magic number
    match pickle(&mut input)?.1 {
        Value::Int(1001) => {}
        other => return Err(format!("{} as its protocol, which is 1001", describe(&other))),
    }
    let (system, info) = pickle(&mut input)?;
    if let Value::Dict(info) = info {
        let big = |(key, value): &(Value, Value)| matches!((key, value), (Value::Text(key), Value::Bool(false)) if **key == *"little_endian");
        if system.dict(info).iter().any(big) {
            return Err("it was written on a big-endian machine".into());
        }
    }
    let (machine, object) = pickle(&mut input)?;
    let (listed, keys) = pickle(&mut input)?;
    let Value::List(keys) = keys else { return Err("no list of storages".into()) };
    let kinds = super::state_dict::storages(&machine, &object)?;
    let mut storages: HashMap<Rc<str>, Raw<'_>> = HashMap::new();
    for key in listed.list(keys) {
        let Value::Text(key) = key else { return Err(format!("{} as a storage's key", describe(key))) };
        let len = u64::from_le_bytes(input.array()?);
        // A storage that no tensor of the object views has no known type, and so no known length.
        let class = kinds.get(key).ok_or_else(|| format!("storage `{key}` belongs to no tensor"))?;
        let kind = Kind::of(class)?;
        let size = usize::try_from(len).ok().and_then(|len| len.checked_mul(kind.width()));
        let size = size.ok_or_else(|| format!("storage `{key}` claims {len} values"))?;
        let bytes = input.take(size).map_err(|e| format!("storage `{key}`: {e}"))?;
        storages.insert(key.clone(), Raw { kind, bytes });
    }
    super::tensors(&machine, &object, bytes.len(), device, |storage: &Storage| {
        let raw =
            storages.get(&storage.key).ok_or_else(|| format!("its storage `{}` is missing", storage.key))?;
        Ok(Raw { kind: raw.kind, bytes: raw.bytes })
    })
}

/// The next pickle, with a memo of its own.
fn pickle(input: &mut Bytes<'_>) -> Result<(Machine, Value), String> {
    let mut machine = Machine::default();
    let value = machine.run(input)?;
    Ok((machine, value))
}
