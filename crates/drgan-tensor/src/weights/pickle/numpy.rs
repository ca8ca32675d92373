//! Numpy's scalars, which pickles of data sets hold in place of Python's numbers.
use super::value::{Object, Result, Value};

/// Refuses a type whose state (version, byte order, ...) says big-endian.
pub(super) fn check_order<O: Object>(state: &Value<O>) -> Result<()> {
    let Value::Tuple(parts, _) = state else { return Err(format!("{} as a type's state", state.describe())) };
    match &**parts {
        [_, Value::Text(order), ..] if **order == *">" => Err("numpy values of big-endian order".into()),
        _ => Ok(()),
    }
}

/// A number of the type `code` as Python's; `data` are its bytes, the least significant first.
pub(super) fn scalar<O: Object>(code: &str, data: &Value<O>) -> Result<Value<O>> {
    let bytes: &[u8] = match data {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        other => return Err(format!("a number of numpy made of {}", other.describe())),
    };
    let width = code.get(1..).and_then(|digits| digits.parse::<usize>().ok());
    if width != Some(bytes.len()) {
        return Err(format!("a number of numpy's type `{code}` in {} bytes", bytes.len()));
    }
    match code.as_bytes()[0] {
        b'i' => Ok(Value::integer(bytes)),
        b'u' => Ok(Value::integer(&[bytes, &[0]].concat())),
        b'b' => Ok(Value::Bool(bytes.iter().any(|b| *b != 0))),
        b'f' => Ok(Value::Float),
        _ => Err(format!("a number of numpy's type `{code}`")),
    }
}
