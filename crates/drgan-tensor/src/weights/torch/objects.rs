//! What the few functions mean that a pickle may name: storages, tensors over them, numpy's scalars.
use super::pickle::{Result, Value, describe, long};
use std::rc::Rc;

/// Dimensions of a tensor beyond this are refused.
const MAX_RANK: usize = 32;

/// What a persistent id says of a storage.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) kind: Rc<str>,
    pub(crate) key: Rc<str>,
    pub(crate) len: usize,
    /// Of a legacy view: where it starts in the storage `key`, in elements.
    pub(crate) start: usize,
}

/// A tensor as a view of a storage.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) storage: Rc<Storage>,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

fn size(value: &Value) -> Result<usize> {
    match value {
        Value::Int(n) => usize::try_from(*n).map_err(|_| format!("{n} where a size was to come")),
        other => Err(format!("{} where a size was to come", describe(other))),
    }
}

fn sizes(value: &Value) -> Result<Vec<usize>> {
    match value {
        Value::Tuple(items, _) if items.len() <= MAX_RANK => items.iter().map(size).collect(),
        other => Err(format!("{} where sizes were to come", describe(other))),
    }
}

pub(super) fn view(storage: &Value, offset: &Value, shape: &Value, strides: &Value) -> Result<Value> {
    let Value::Storage(storage) = storage else {
        return Err(format!("a tensor over {}", describe(storage)));
    };
    let (shape, strides) = (sizes(shape)?, sizes(strides)?);
    if shape.len() != strides.len() {
        return Err(format!("a tensor of shape {shape:?} with strides {strides:?}"));
    }
    Ok(Value::Tensor(Rc::new(View { storage: storage.clone(), offset: size(offset)?, shape, strides })))
}

/// `('storage', type, key, location, elements)`, in the legacy format followed by `None` or `(key, start, elements)`.
pub(super) fn persistent(id: &Value) -> Result<Value> {
    let Value::Tuple(parts, _) = id else { return Err(format!("{} as a persistent id", describe(id))) };
    let [Value::Text(what), Value::Global(kind), Value::Text(key), _, len, rest @ ..] = &**parts else {
        return Err(match parts.first() {
            Some(Value::Text(what)) => {
                format!("a persistent id of `{what}`: a whole pickled module? Save its state_dict")
            }
            _ => "a persistent id of unknown form".into(),
        });
    };
    if **what != *"storage" {
        return Err(format!("a persistent id of `{what}`"));
    }
    let (start, len) = match rest {
        [] | [Value::None] => (0, size(len)?),
        [Value::Tuple(view, _)] => match &**view {
            [_, start, len] => (size(start)?, size(len)?),
            _ => return Err("a storage's view of unknown form".into()),
        },
        _ => return Err("a persistent id of unknown form".into()),
    };
    Ok(Value::Storage(Rc::new(Storage { kind: kind.clone(), key: key.clone(), len, start })))
}

/// Numpy's state of a type: version, byte order, ....
pub(super) fn check_order(state: &Value) -> Result<()> {
    let Value::Tuple(parts, _) = state else { return Err(format!("{} as a type's state", describe(state))) };
    match &**parts {
        [_, Value::Text(order), ..] if **order == *">" => Err("numpy values of big-endian order".into()),
        _ => Ok(()),
    }
}

/// A number of numpy as Python's; `data` are its bytes, the least significant first.
pub(super) fn scalar(code: &str, data: &Value) -> Result<Value> {
    let bytes: &[u8] = match data {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        other => return Err(format!("a number of numpy made of {}", describe(other))),
    };
    let width = code.get(1..).and_then(|digits| digits.parse::<usize>().ok());
    if width != Some(bytes.len()) {
        return Err(format!("a number of numpy's type `{code}` in {} bytes", bytes.len()));
    }
    match code.as_bytes()[0] {
        b'i' => Ok(long(bytes)),
        b'u' => Ok(long(&[bytes, &[0]].concat())),
        b'b' => Ok(Value::Bool(bytes.iter().any(|b| *b != 0))),
        b'f' => Ok(Value::Float),
        _ => Err(format!("a number of numpy's type `{code}`")),
    }
}
