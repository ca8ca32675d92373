//! Values that a pickle builds.
use std::rc::Rc;

/// A reason in words; whoever reads the file adds the file's name.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// What a [`Globals`](super::machine::Globals) may build beside plain values.
pub(crate) trait Object: Clone + std::fmt::Debug {
    /// What it is, for messages: `"a tensor"`.
    fn describe(&self) -> &'static str;

    /// Whether attributes that a pickle sets on it are ignored; they are refused otherwise.
    fn ignores_attributes(&self) -> bool;
}

/// A value with objects of type `O`. Lists and dictionaries are places in the machine's tables, since a pickle fills them
/// after storing them in its memo.
#[derive(Clone, Debug)]
pub(crate) enum Value<O> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits.
    Long,
    Float,
    Text(Rc<str>),
    /// A string of Python 2 that is not UTF-8.
    Bytes(Rc<[u8]>),
    /// Items, and how many tuples deep they go: a tuple is dropped by recursion.
    Tuple(Rc<[Value<O>]>, usize),
    List(usize),
    Dict(usize),
    /// A function or class by its module and name.
    Global(Rc<str>),
    /// Numpy's type of scalars, by its code.
    NumpyType(Rc<str>),
    #[cfg_attr(not(feature = "torch"), expect(dead_code, reason = "only PyTorch's pickles hold objects"))]
    Object(O),
}

impl<O: Object> Value<O> {
    /// What it is, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::None => "None".into(),
            Self::Bool(_) => "a boolean".into(),
            Self::Int(_) | Self::Long => "an integer".into(),
            Self::Float => "a number".into(),
            Self::Text(_) => "text".into(),
            Self::Bytes(_) => "bytes that are not text".into(),
            Self::NumpyType(_) => "a type of numpy".into(),
            Self::Tuple(..) => "a tuple".into(),
            Self::List(_) => "a list".into(),
            Self::Dict(_) => "a dictionary".into(),
            Self::Global(name) => format!("`{name}`"),
            Self::Object(object) => object.describe().into(),
        }
    }

    /// A string of Python 2, which are bytes of no stated encoding: text if they are UTF-8.
    pub(super) fn text(bytes: &[u8]) -> Self {
        std::str::from_utf8(bytes).map_or_else(|_| Self::Bytes(bytes.into()), |text| Self::Text(text.into()))
    }

    /// An integer in little-endian two's complement of any length.
    pub(super) fn integer(bytes: &[u8]) -> Self {
        if bytes.len() > 8 {
            return Self::Long;
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        Self::Int(i64::from_le_bytes(wide))
    }
}
