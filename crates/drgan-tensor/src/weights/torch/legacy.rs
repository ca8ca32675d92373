//! The checkpoint format before PyTorch 1.6: pickles and storages one after the other.
use super::globals::{Storage, TorchGlobals, TorchValue};
use super::refusal::Refusal;
use super::state_dict;
use super::storage::{self, Raw};
use crate::text::counted;
use crate::weights::pickle::machine::Machine;
use crate::weights::pickle::reader::Reader;
use crate::weights::pickle::value::Value;
use crate::weights::tensors::Tensors;
use candle_core::Device;
use std::collections::HashMap;
use std::rc::Rc;

/// `0x1950a86a20f9469cfc6c`, the first pickle's number.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The magic number is the third value of any legacy file: `PROTO n`, `LONG1 10`, the number.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.len() >= 14 && bytes[0] == 0x80 && bytes[2..4] == [0x8a, 10] && bytes[4..14] == MAGIC
}

pub(super) fn read(bytes: &[u8], device: &Device) -> Result<(Tensors, Vec<String>), Refusal> {
    let mut input = Reader::new(bytes);
    pickle(&mut input)?; // the magic number
    match pickle(&mut input)?.1 {
        Value::Int(1001) => {}
        other => return Err(format!("{} as its protocol, which is 1001", other.describe()).into()),
    }
    let (system, info) = pickle(&mut input)?;
    if let Value::Dict(info) = info {
        let big = |(key, value): &(TorchValue, TorchValue)| matches!((key, value), (Value::Text(key), Value::Bool(false)) if **key == *"little_endian");
        if system.dict(info).iter().any(big) {
            return Err("it was written on a big-endian machine".into());
        }
    }
    let (machine, object) = pickle(&mut input)?;
    let (listed, keys) = pickle(&mut input)?;
    let Value::List(keys) = keys else { return Err("no list of storages".into()) };
    let kinds = state_dict::storages(&machine, &object)?;
    let mut storages: HashMap<Rc<str>, Raw<'_>> = HashMap::new();
    for key in listed.list(keys) {
        let Value::Text(key) = key else {
            return Err(format!("{} as a storage's key", key.describe()).into());
        };
        let len = u64::from_le_bytes(input.array()?);
        // A storage that no tensor of the object views has no known type, and so no known length.
        let class = kinds.get(key).ok_or_else(|| format!("storage `{key}` belongs to no tensor"))?;
        let kind = storage::element_type(class)?;
        let size = usize::try_from(len).ok().and_then(|len| len.checked_mul(kind.width()));
        let size = size.ok_or_else(|| format!("storage `{key}` claims {}", counted(len, "value[|s]")))?;
        let bytes = input.take(size).map_err(|e| format!("storage `{key}`: {e}"))?;
        storages.insert(key.clone(), Raw { kind, bytes });
    }
    state_dict::tensors(&machine, &object, bytes.len(), device, |wanted: &Storage| {
        let raw =
            storages.get(&wanted.key).ok_or_else(|| format!("its storage `{}` is missing", wanted.key))?;
        Ok(Raw { kind: raw.kind, bytes: raw.bytes })
    })
}

/// The next pickle of `input`, each of which has a memo of its own.
fn pickle(input: &mut Reader<'_>) -> Result<(Machine<TorchGlobals>, TorchValue), String> {
    let mut machine = Machine::new(TorchGlobals);
    let value = machine.run(input)?;
    Ok((machine, value))
}
