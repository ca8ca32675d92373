//! What PyTorch's pickles name: storages by persistent ids, tensors as views of them.
use crate::weights::pickle::machine::Globals;
use crate::weights::pickle::value::{Object, Result, Value};
use std::rc::Rc;

/// Dimensions of a tensor beyond this are refused.
const MAX_RANK: usize = 32;

/// What a persistent id says about a storage.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) kind: Rc<str>,
    pub(crate) key: Rc<str>,
    pub(crate) len: usize,
    /// Where a legacy view starts in the storage `key`, in elements; 0 for a whole storage.
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

/// What PyTorch's pickles hold beside plain values.
#[derive(Clone, Debug)]
pub(crate) enum TorchObject {
    Storage(Rc<Storage>),
    Tensor(Rc<View>),
}

pub(crate) type TorchValue = Value<TorchObject>;

impl Object for TorchObject {
    fn describe(&self) -> &'static str {
        match self {
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
        }
    }

    fn ignores_attributes(&self) -> bool {
        matches!(self, Self::Tensor(_))
    }
}

/// The few functions that `torch.save` writes for tensors.
pub(crate) struct TorchGlobals;

impl Globals for TorchGlobals {
    type Object = TorchObject;

    fn call(&self, name: &str, args: &[TorchValue]) -> Result<Option<TorchValue>> {
        match (name, args) {
            ("torch._utils._rebuild_tensor", [storage, offset, shape, strides])
            | ("torch._utils._rebuild_tensor_v2", [storage, offset, shape, strides, ..]) => {
                view(storage, offset, shape, strides).map(Some)
            }
            (
                "torch._utils._rebuild_parameter" | "torch.nn.parameter.Parameter",
                [data @ Value::Object(TorchObject::Tensor(_)), ..],
            )
            | ("torch.Size", [data @ Value::Tuple(..)]) => Ok(Some(data.clone())),
            _ => Ok(None),
        }
    }

    fn persistent(&self, id: &TorchValue) -> Result<TorchValue> {
        storage(id)
    }

    fn known(&self) -> &'static str {
        "tensors and plain containers"
    }
}

fn size(value: &TorchValue) -> Result<usize> {
    match value {
        Value::Int(n) => usize::try_from(*n).map_err(|_| format!("{n} where a size was to come")),
        other => Err(format!("{} where a size was to come", other.describe())),
    }
}

fn sizes(value: &TorchValue) -> Result<Vec<usize>> {
    match value {
        Value::Tuple(items, _) if items.len() <= MAX_RANK => items.iter().map(size).collect(),
        other => Err(format!("{} where sizes were to come", other.describe())),
    }
}

fn view(
    storage: &TorchValue,
    offset: &TorchValue,
    shape: &TorchValue,
    strides: &TorchValue,
) -> Result<TorchValue> {
    let Value::Object(TorchObject::Storage(storage)) = storage else {
        return Err(format!("a tensor over {}", storage.describe()));
    };
    let (shape, strides) = (sizes(shape)?, sizes(strides)?);
    if shape.len() != strides.len() {
        return Err(format!("a tensor of shape {shape:?} with strides {strides:?}"));
    }
    let view = View { storage: storage.clone(), offset: size(offset)?, shape, strides };
    Ok(Value::Object(TorchObject::Tensor(Rc::new(view))))
}

/// The storage of a persistent id: `('storage', type, key, location, elements)`, in the legacy format followed by `None` or `(key, start, elements)`.
fn storage(id: &TorchValue) -> Result<TorchValue> {
    let Value::Tuple(parts, _) = id else { return Err(format!("{} as a persistent id", id.describe())) };
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
    let storage = Storage { kind: kind.clone(), key: key.clone(), len, start };
    Ok(Value::Object(TorchObject::Storage(Rc::new(storage))))
}
