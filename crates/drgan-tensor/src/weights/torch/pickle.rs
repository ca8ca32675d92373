//! A pickle machine that builds values and executes nothing.
//!
//! Every operation reads at least one byte and makes at most one value of fixed size, and strings are slices of the input, so
//! memory is bounded by the length of the input. What would call a function is refused by the function's name, but for
//! the few that torch.save writes for tensors, whose meaning is known here.
use super::objects::{self, Storage, View};
use std::collections::HashMap;
use std::rc::Rc;

/// A value; lists and dictionaries are places in [`Machine`]'s tables, since a pickle fills them after remembering them.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits.
    Long,
    Float,
    Text(Rc<str>),
    /// A string of Python 2 that is no UTF-8.
    Bytes(Rc<[u8]>),
    /// Items, and how many tuples deep they go: a tuple is dropped by recursion.
    Tuple(Rc<[Value]>, usize),
    List(usize),
    Dict(usize),
    Global(Rc<str>),
    Storage(Rc<Storage>),
    Tensor(Rc<View>),
    /// Numpy's type of scalars, by its code.
    Dtype(Rc<str>),
}

/// Stack, memo and tables of one pickle.
#[derive(Default)]
pub(crate) struct Machine {
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
    lists: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
}

/// Tuples within tuples beyond this are refused.
const MAX_DEPTH: usize = 64;

pub(super) type Result<T> = std::result::Result<T, String>;

/// The input, from which nothing is read past its end.
pub(crate) struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.all.len());
        let end = end.ok_or_else(|| format!("cut short at byte {}: {n} more bytes were to come", self.at))?;
        let part = &self.all[self.at..end];
        self.at = end;
        Ok(part)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.all[self.at..];
        let len = rest.iter().position(|b| *b == b'\n').ok_or("cut short within a line")?;
        let line = self.take(len + 1)?;
        std::str::from_utf8(&line[..len]).map_err(|_| "a line that is not text".to_owned())
    }

    /// A length of `N` bytes.
    fn len<const N: usize>(&mut self) -> Result<usize> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(self.take(N)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| "a length beyond this machine's".to_owned())
    }
}

/// Python 2's strings are bytes of no stated encoding; names are ASCII.
pub(super) fn text(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(|_| Value::Bytes(bytes.into()), |text| Value::Text(text.into()))
}

/// A quoted line of Python 2: characters up to 255 are bytes.
fn quoted(line: &str) -> Result<Value> {
    let inner = ['\'', '"'].iter().find_map(|q| line.trim_end().strip_prefix(*q)?.strip_suffix(*q));
    Ok(text(&latin(unescape(inner.ok_or("a string without quotes")?)?)))
}

/// Characters up to 255 as a byte each, others as UTF-8.
fn latin(characters: impl IntoIterator<Item = char>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for c in characters {
        match u8::try_from(u32::from(c)) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// Python's escapes of one line.
fn unescape(line: &str) -> Result<Vec<char>> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match rest.next() {
            Some(kind @ ('x' | 'u' | 'U')) => {
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let hex: String = rest.by_ref().take(digits).collect();
                let value =
                    u32::from_str_radix(&hex, 16).map_err(|_| format!("`\\{kind}{hex}` in a string"))?;
                char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some(other) => other,
            None => return Err("a string that ends in a backslash".into()),
        });
    }
    Ok(out)
}

/// Little-endian two's complement of any length.
pub(super) fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Long;
    }
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}

impl Machine {
    /// Runs one pickle from `input`, up to its stop; the value it leaves.
    pub(crate) fn run(&mut self, input: &mut Bytes<'_>) -> Result<Value> {
        loop {
            let at = input.position();
            let op = input.byte()?;
            if op == b'.' {
                return self.pop();
            }
            self.step(op, input).map_err(|e| format!("{e} (pickle operation {op:#04x} at byte {at})"))?;
        }
    }

    pub(crate) fn list(&self, place: usize) -> &[Value] {
        &self.lists[place]
    }

    pub(crate) fn dict(&self, place: usize) -> &[(Value, Value)] {
        &self.dicts[place]
    }

    fn step(&mut self, op: u8, input: &mut Bytes<'_>) -> Result<()> {
        let value = match op {
            0x80 => return input.byte().map(drop),
            0x95 => return input.take(8).map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            b'0' => return self.pop().map(drop),
            b'1' => return self.since_mark().map(drop),
            b'2' => self.top()?.clone(),
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'I' | b'L' => number(input.line()?)?,
            b'J' => Value::Int(i32::from_le_bytes(input.array()?).into()),
            b'K' => Value::Int(input.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(input.array()?).into()),
            0x8a => {
                let n = input.len::<1>()?;
                long(input.take(n)?)
            }
            0x8b => {
                let n = input.len::<4>()?;
                long(input.take(n)?)
            }
            b'F' => input.line().map(|_| Value::Float)?,
            b'G' => input.take(8).map(|_| Value::Float)?,
            b'S' => quoted(input.line()?)?,
            b'V' => Value::Text(unescape(input.line()?)?.into_iter().collect::<String>().into()),
            b'U' | b'C' | 0x8c => {
                let n = input.len::<1>()?;
                text(input.take(n)?)
            }
            b'T' | b'B' | b'X' => {
                let n = input.len::<4>()?;
                text(input.take(n)?)
            }
            0x8d | 0x8e => {
                let n = input.len::<8>()?;
                text(input.take(n)?)
            }
            b']' => self.new_list(vec![]),
            b'l' => {
                let items = self.since_mark()?;
                self.new_list(items)
            }
            b'a' | b'e' => return self.append(op == b'e'),
            b')' => tuple(vec![])?,
            b't' => tuple(self.since_mark()?)?,
            0x85..=0x87 => {
                let n = usize::from(op - 0x84);
                let from = self.stack.len().checked_sub(n).filter(|from| *from >= self.floor());
                tuple(self.stack.split_off(from.ok_or("too few values for a tuple")?))?
            }
            b'}' => self.new_dict(vec![]),
            b'd' => {
                let items = pairs(self.since_mark()?)?;
                self.new_dict(items)
            }
            b's' | b'u' => return self.set(op == b'u'),
            b'g' => {
                let index = input.line()?.parse().map_err(|_| "a memo index that is no number")?;
                self.recall(index)?
            }
            b'h' => {
                let index = input.len::<1>()?;
                self.recall(index)?
            }
            b'j' => {
                let index = input.len::<4>()?;
                self.recall(index)?
            }
            b'p' => {
                let index = input.line()?.parse().map_err(|_| "a memo index that is no number")?;
                return self.remember(index);
            }
            b'q' => {
                let index = input.len::<1>()?;
                return self.remember(index);
            }
            b'r' => {
                let index = input.len::<4>()?;
                return self.remember(index);
            }
            0x94 => return self.remember(self.memo.len()),
            b'c' => Value::Global(format!("{}.{}", input.line()?, input.line()?).into()),
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => Value::Global(format!("{module}.{name}").into()),
                _ => return Err("a name that is no text".into()),
            },
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.reduce(&function, &arguments)?
            }
            b'b' => {
                // A dictionary's attributes (`_metadata` of a state dict) say nothing of its tensors.
                let state = self.pop()?;
                return match self.top()? {
                    Value::Dict(_) | Value::Tensor(_) => Ok(()),
                    Value::Dtype(_) => objects::check_order(&state),
                    other => Err(format!("attributes of {} are not read", describe(other))),
                };
            }
            b'Q' => objects::persistent(&self.pop()?)?,
            0x81 => {
                self.pop()?;
                return Err(match self.pop()? {
                    Value::Global(class) => {
                        format!(
                            "it holds an object of class `{class}`, whose code is not run; save the state_dict alone"
                        )
                    }
                    other => format!("an object of {}", describe(&other)),
                });
            }
            _ => return Err("no pickle of plain values or tensors".into()),
        };
        self.stack.push(value);
        Ok(())
    }

    /// The functions of a state dict, by what they mean.
    fn reduce(&mut self, function: &Value, arguments: &Value) -> Result<Value> {
        let (Value::Global(name), Value::Tuple(args, _)) = (function, arguments) else {
            return Err(format!("{} is called", describe(function)));
        };
        match (&**name, &**args) {
            ("collections.OrderedDict", []) => Ok(self.new_dict(vec![])),
            ("collections.OrderedDict", [Value::List(items)]) => {
                // Taken, not copied: a list that is used again and again would grow without bound.
                let items = std::mem::take(&mut self.lists[*items]);
                let pair = |item: Value| match item {
                    Value::Tuple(pair, _) if pair.len() == 2 => Ok((pair[0].clone(), pair[1].clone())),
                    Value::List(pair) if self.lists[pair].len() == 2 => {
                        Ok((self.lists[pair][0].clone(), self.lists[pair][1].clone()))
                    }
                    other => Err(format!("an OrderedDict of {}", describe(&other))),
                };
                let items = items.into_iter().map(pair).collect::<Result<_>>()?;
                Ok(self.new_dict(items))
            }
            ("torch._utils._rebuild_tensor", [storage, offset, shape, strides])
            | ("torch._utils._rebuild_tensor_v2", [storage, offset, shape, strides, ..]) => {
                objects::view(storage, offset, shape, strides)
            }
            ("torch._utils._rebuild_parameter", [data @ Value::Tensor(_), ..])
            | ("torch.Size", [data @ Value::Tuple(..)])
            | ("torch.nn.parameter.Parameter", [data @ Value::Tensor(_), ..]) => Ok(data.clone()),
            ("_codecs.encode", [Value::Text(data), ..]) => Ok(text(&latin(data.chars()))),
            ("numpy.dtype", [Value::Text(code), ..]) => Ok(Value::Dtype(code.clone())),
            (
                "numpy.core.multiarray.scalar" | "numpy._core.multiarray.scalar",
                [Value::Dtype(code), data],
            ) => objects::scalar(code, data),
            _ => Err(format!("it wants `{name}` called; only tensors and plain containers are read")),
        }
    }

    fn pop(&mut self) -> Result<Value> {
        let full = self.stack.len() > self.floor();
        full.then(|| self.stack.pop()).flatten().ok_or_else(|| "an empty stack".to_owned())
    }

    fn top(&self) -> Result<&Value> {
        self.stack
            .last()
            .filter(|_| self.stack.len() > self.floor())
            .ok_or_else(|| "an empty stack".to_owned())
    }

    /// What lies below belongs to whoever set the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn since_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().ok_or("no mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn new_list(&mut self, items: Vec<Value>) -> Value {
        self.lists.push(items);
        Value::List(self.lists.len() - 1)
    }

    fn new_dict(&mut self, items: Vec<(Value, Value)>) -> Value {
        self.dicts.push(items);
        Value::Dict(self.dicts.len() - 1)
    }

    fn append(&mut self, many: bool) -> Result<()> {
        let items = if many { self.since_mark()? } else { vec![self.pop()?] };
        let Value::List(list) = *self.top()? else { return Err("values appended to no list".into()) };
        self.lists[list].extend(items);
        Ok(())
    }

    fn set(&mut self, many: bool) -> Result<()> {
        let items = if many {
            pairs(self.since_mark()?)?
        } else {
            let (value, key) = (self.pop()?, self.pop()?);
            vec![(key, value)]
        };
        let Value::Dict(dict) = *self.top()? else { return Err("items set in no dictionary".into()) };
        self.dicts[dict].extend(items);
        Ok(())
    }

    fn remember(&mut self, index: usize) -> Result<()> {
        let value = self.top()?.clone();
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&self, index: usize) -> Result<Value> {
        self.memo.get(&index).cloned().ok_or_else(|| format!("memo {index} is empty"))
    }
}

fn tuple(items: Vec<Value>) -> Result<Value> {
    let below = items.iter().map(|v| if let Value::Tuple(_, depth) = v { *depth } else { 0 }).max();
    let depth = below.unwrap_or(0) + 1;
    if depth > MAX_DEPTH {
        return Err(format!("tuples nested more than {MAX_DEPTH} deep"));
    }
    Ok(Value::Tuple(items.into(), depth))
}

fn pairs(items: Vec<Value>) -> Result<Vec<(Value, Value)>> {
    if items.len() % 2 == 1 {
        return Err("a key without a value".into());
    }
    let mut items = items.into_iter();
    Ok(std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect())
}

/// `I` and `L` lines; booleans are `I00` and `I01`.
fn number(line: &str) -> Result<Value> {
    match line {
        "00" => Ok(Value::Bool(false)),
        "01" => Ok(Value::Bool(true)),
        _ => line.trim_end_matches('L').parse().map(Value::Int).map_err(|_| format!("`{line}` is no number")),
    }
}

pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::None => "None".into(),
        Value::Bool(_) => "a boolean".into(),
        Value::Int(_) | Value::Long => "an integer".into(),
        Value::Float => "a number".into(),
        Value::Text(_) => "text".into(),
        Value::Bytes(_) => "bytes that are no text".into(),
        Value::Dtype(_) => "a type of numpy".into(),
        Value::Tuple(..) => "a tuple".into(),
        Value::List(_) => "a list".into(),
        Value::Dict(_) => "a dictionary".into(),
        Value::Global(name) => format!("`{name}`"),
        Value::Storage(_) => "a storage".into(),
        Value::Tensor(_) => "a tensor".into(),
    }
}
