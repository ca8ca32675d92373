//! Pickles of plain values, of protocols 0 to 4 and either Python: the lists that published data sets come with.
use super::machine::{Globals, Machine};
use super::reader::Reader;
use super::value::{self, Object, Value};
use crate::file::read;
use crate::{Error, Result};
use std::collections::HashSet;
use std::path::Path;

/// A value of Python without code behind it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Plain {
    /// Python's `None`.
    None,
    /// A boolean.
    Bool(bool),
    /// An integer of up to 64 bits.
    Int(i64),
    /// A string; Python 2's bytes as UTF-8, what is not is replaced.
    Text(String),
    /// A list or tuple.
    List(Vec<Self>),
    /// A dictionary, in its order.
    Dict(Vec<(Self, Self)>),
}

/// Lists within lists beyond this are refused.
const DEPTH: usize = 16;

impl Plain {
    /// Reads a file. Nothing is executed: a pickle that wants a function called is refused by the function's name.
    ///
    /// # Errors
    /// [`Error::File`] that names the file and what is wrong or refused.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_bytes(&read(path)?, path)
    }

    /// [`Plain::load`] for the bytes of a file, where `path` is only named in errors. The result is no larger than a
    /// multiple of them.
    ///
    /// # Errors
    /// [`Error::File`] that names `path` and what is wrong or refused.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        run(bytes).map_err(|e| Error::file(path, format!("not readable as a pickle: {e}")))
    }

    /// The items, if the value is a list or tuple.
    pub fn list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The text, if the value is a string.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The value as a message names it.
    fn shown(&self) -> String {
        match self {
            Self::Int(n) => n.to_string(),
            Self::Text(text) => format!("`{text}`"),
            other => format!("{other:?}"),
        }
    }

    /// The integer, if the value is one.
    pub fn int(&self) -> Option<i64> {
        if let Self::Int(n) = self { Some(*n) } else { None }
    }
}

fn run(bytes: &[u8]) -> value::Result<Plain> {
    let mut machine = Machine::new(NoGlobals);
    let value = machine.run(&mut Reader::new(bytes))?;
    let mut budget = Budget { values: 16 + 4 * bytes.len(), text: 1024 + 64 * bytes.len() };
    plain(&machine, &value, DEPTH, &mut budget)
}

/// Knows no function and no object: every one is refused.
struct NoGlobals;

/// An object that cannot be.
#[derive(Clone, Debug)]
enum NoObject {}

impl Object for NoObject {
    fn describe(&self) -> &'static str {
        match *self {}
    }

    fn ignores_attributes(&self) -> bool {
        match *self {}
    }
}

impl Globals for NoGlobals {
    type Object = NoObject;

    fn call(&self, _: &str, _: &[Value<NoObject>]) -> value::Result<Option<Value<NoObject>>> {
        Ok(None)
    }

    fn persistent(&self, id: &Value<NoObject>) -> value::Result<Value<NoObject>> {
        Err(format!("{} as a persistent id", id.describe()))
    }

    fn known(&self) -> &'static str {
        "plain values"
    }
}

/// How much a result may still grow: a value that a pickle keeps in its memo and uses again and again is copied each time.
struct Budget {
    values: usize,
    /// Bytes of text that may still be taken.
    text: usize,
}

impl Budget {
    fn take(&mut self, value: &Value<NoObject>) -> value::Result<()> {
        let len = match value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => 3 * bytes.len(), // each may become a replacement character
            _ => 0,
        };
        let left = self.values.checked_sub(1).zip(self.text.checked_sub(len));
        (self.values, self.text) = left.ok_or("its values repeat one another beyond measure")?;
        Ok(())
    }
}

fn plain(
    machine: &Machine<NoGlobals>,
    value: &Value<NoObject>,
    depth: usize,
    budget: &mut Budget,
) -> value::Result<Plain> {
    budget.take(value)?;
    let below = depth.checked_sub(1).ok_or_else(|| format!("lists nested more than {DEPTH} deep"));
    let mut all = |items: &[Value<NoObject>]| -> value::Result<Plain> {
        let below = below.clone()?;
        Ok(Plain::List(items.iter().map(|v| plain(machine, v, below, budget)).collect::<value::Result<_>>()?))
    };
    Ok(match value {
        Value::None => Plain::None,
        Value::Bool(b) => Plain::Bool(*b),
        Value::Int(n) => Plain::Int(*n),
        Value::Text(text) => Plain::Text(text.to_string()),
        Value::Bytes(bytes) => Plain::Text(String::from_utf8_lossy(bytes).into_owned()),
        Value::Tuple(items, _) => all(items)?,
        Value::List(place) => all(machine.list(*place))?,
        Value::Dict(place) => {
            let below = below?;
            let mut pairs = Vec::new();
            for (key, value) in machine.dict(*place) {
                pairs.push((plain(machine, key, below, budget)?, plain(machine, value, below, budget)?));
            }
            let mut seen = HashSet::new();
            if let Some((key, _)) = pairs.iter().find(|(key, _)| !seen.insert(key)) {
                return Err(format!("a dictionary has the key {} twice", key.shown()));
            }
            Plain::Dict(pairs)
        }
        other => return Err(format!("it holds {}", other.describe())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> value::Result<Plain> {
        Plain::from_bytes(bytes, Path::new("list.pickle")).map_err(|e| {
            let message = e.to_string();
            assert!(message.starts_with("list.pickle: not readable as a pickle: "), "{message}");
            message
        })
    }

    #[test]
    fn both_pythons_and_old_protocols_are_read() {
        let names = ["001.A/a_1", "it's \\ \u{e9}"].map(|s| Plain::Text(s.to_owned()));
        // Protocol 0 of Python 2: a list of strings with escapes.
        let old = b"(lp0\nS'001.A/a_1'\np1\naS\"it's \\\\ \\xc3\\xa9\"\np2\na.";
        assert_eq!(read(old).unwrap(), Plain::List(names.to_vec()));
        let unicode = b"(lp0\nV001.A/a_1\np1\naVit's \\u005c \\u00e9\np2\na.";
        assert_eq!(read(unicode).unwrap(), Plain::List(names.to_vec()));
        // Protocol 2: {0: '<end>'} with a short byte string.
        let dict = b"\x80\x02}q\x00K\x00U\x05<end>q\x01s.";
        assert_eq!(read(dict).unwrap(), Plain::Dict(vec![(Plain::Int(0), Plain::Text("<end>".into()))]));
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let twice = b"\x80\x02}q\x00(K\x07U\x05first\x8a\x01\x07U\x06secondu.";
        assert!(read(twice).unwrap_err().contains("the key 7 twice"));
        let one_by_one = b"}X\x01\x00\x00\x00aNsU\x01aNs.";
        assert!(read(one_by_one).unwrap_err().contains("the key `a` twice"));
        let apart = b"](}K\x01Ns}K\x01Nse.";
        assert!(read(apart).is_ok(), "two dictionaries may share a key");
        let alike = b"}(K\x01NU\x011Nu.";
        assert!(read(alike).is_ok(), "1 and '1' are two keys");
    }

    #[test]
    fn numbers_of_numpy_are_integers() {
        // [2, 200, 2] as Python 2 wrote them: a type with its state, and eight bytes each.
        let list = b"(lp0\ncnumpy.core.multiarray\nscalar\np1\n(cnumpy\ndtype\np2\n(S'i8'\nI0\nI1\ntRp3\n(I3\nS'<'\nNNNI-1\nI-1\n\
            I0\ntbS'\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00'\ntRp4\nag1\n(g3\nS'\\xc8\\x00\\x00\\x00\\x00\\x00\\x00\\x00'\ntRag4\na.";
        assert_eq!(read(list).unwrap(), Plain::List([2, 200, 2].map(Plain::Int).to_vec()));
        let text = String::from_utf8(list.to_vec()).unwrap();
        assert!(read(text.replace("S'<'", "S'>'").as_bytes()).unwrap_err().contains("big-endian"));
        assert!(read(text.replace("i8", "i4").as_bytes()).unwrap_err().contains("`i4` in 8 bytes"));
    }

    #[test]
    fn code_and_bombs_are_refused() {
        assert!(read(b"cos\nsystem\n(S'true'\ntR.").unwrap_err().contains("os.system"));
        assert!(read(b"cos\nsystem\n.").unwrap_err().contains("os.system"));
        // A list of sixteen times the list before, and so on: 16^9 values in 170 bytes.
        let mut bomb = b"]q\0".to_vec();
        for level in 0..9u8 {
            bomb.extend([b']', b'q', level + 1, b'(']);
            bomb.extend([b'h', level].repeat(16));
            bomb.push(b'e');
        }
        bomb.push(b'.');
        assert!(read(&bomb).unwrap_err().contains("repeat"));
        // One long text in a list many times over.
        let long =
            [b"]X\x00\x10\x00\x00".as_slice(), &[b'x'; 4096], b"q\0a(", &b"h\0".repeat(9000), b"e."].concat();
        assert!(read(&long).unwrap_err().contains("repeat"));
        assert!(read(b"]q\0h\0a.").unwrap_err().contains("nested"), "a list within itself");
    }
}
