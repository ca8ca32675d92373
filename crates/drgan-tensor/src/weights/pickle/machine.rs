//! The pickle machine: it builds values and executes nothing.
//!
//! Every operation reads at least one byte and makes at most one value of fixed size, strings are slices of the input, and what
//! is joined or called has a budget, so memory is bounded by a multiple of the input's length. A call is refused by the function's name, but for those of Python's
//! containers and numpy's scalars, whose meaning is known here, and those that a [`Globals`] knows.
use super::numpy;
use super::reader::{Reader, latin1, quoted, unescape};
use super::value::{Object, Result, Value};
use std::collections::HashMap;

/// The functions and objects that a reader of pickles knows by name. What it does not know it refuses.
pub(crate) trait Globals {
    /// What these functions build beside plain values.
    type Object: Object;

    /// The result of calling `name`, which is module and function joined by a dot; `None` if it is not known here.
    fn call(&self, name: &str, args: &[Value<Self::Object>]) -> Result<Option<Value<Self::Object>>>;

    /// The object that a persistent id stands for.
    fn persistent(&self, id: &Value<Self::Object>) -> Result<Value<Self::Object>>;

    /// What is read, to end the refusal of a call: `"tensors and plain containers"`.
    fn known(&self) -> &'static str;
}

/// A key of a dictionary and its value.
type Pair<O> = (Value<O>, Value<O>);
type Pairs<O> = Vec<Pair<O>>;

/// Stack, memo and tables of one pickle.
pub(crate) struct Machine<G: Globals> {
    globals: G,
    stack: Vec<Value<G::Object>>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value<G::Object>>,
    lists: Vec<Vec<Value<G::Object>>>,
    dicts: Vec<Pairs<G::Object>>,
    /// Bytes of names and strings that were made of earlier ones: a few bytes of a pickle can name a long string again.
    made: usize,
}

/// Bytes that may be made of earlier values: this, and as many for each byte of the input.
const MADE: (usize, usize) = (1 << 20, 8);

/// Tuples within tuples beyond this are refused.
const MAX_DEPTH: usize = 64;

impl<G: Globals> Machine<G> {
    /// An empty machine that looks names up in `globals`.
    pub(crate) fn new(globals: G) -> Self {
        Self {
            globals,
            stack: vec![],
            marks: vec![],
            memo: HashMap::new(),
            lists: vec![],
            dicts: vec![],
            made: 0,
        }
    }

    /// Runs one pickle from `input`, up to its stop; the value it leaves.
    pub(crate) fn run(&mut self, input: &mut Reader<'_>) -> Result<Value<G::Object>> {
        loop {
            let at = input.position();
            let op = input.byte()?;
            if op == b'.' {
                return self.pop();
            }
            let stepped = self.step(op, input).and_then(|()| self.bounded(input.length()));
            stepped.map_err(|e| format!("{e} (pickle operation {op:#04x} at byte {at})"))?;
        }
    }

    /// The items of [`Value::List`].
    pub(crate) fn list(&self, place: usize) -> &[Value<G::Object>] {
        &self.lists[place]
    }

    /// The keys and values of [`Value::Dict`], in the order they were set.
    pub(crate) fn dict(&self, place: usize) -> &[Pair<G::Object>] {
        &self.dicts[place]
    }

    fn step(&mut self, op: u8, input: &mut Reader<'_>) -> Result<()> {
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
                Value::integer(input.take(n)?)
            }
            0x8b => {
                let n = input.len::<4>()?;
                Value::integer(input.take(n)?)
            }
            b'F' => input.line().map(|_| Value::Float)?,
            b'G' => input.take(8).map(|_| Value::Float)?,
            b'S' => quoted(input.line()?)?,
            b'V' => Value::Text(unescape(input.line()?)?.into_iter().collect::<String>().into()),
            b'U' | b'C' | 0x8c => {
                let n = input.len::<1>()?;
                Value::text(input.take(n)?)
            }
            b'T' | b'B' | b'X' => {
                let n = input.len::<4>()?;
                Value::text(input.take(n)?)
            }
            0x8d | 0x8e => {
                let n = input.len::<8>()?;
                Value::text(input.take(n)?)
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
                let index = input.line()?.parse().map_err(|_| "a memo index that is not a number")?;
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
                let index = input.line()?.parse().map_err(|_| "a memo index that is not a number")?;
                return self.memoize(index);
            }
            b'q' => {
                let index = input.len::<1>()?;
                return self.memoize(index);
            }
            b'r' => {
                let index = input.len::<4>()?;
                return self.memoize(index);
            }
            0x94 => return self.memoize(self.memo.len()),
            b'c' => Value::Global(format!("{}.{}", input.line()?, input.line()?).into()),
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => {
                    self.made += module.len() + name.len();
                    Value::Global(format!("{module}.{name}").into())
                }
                _ => return Err("a name that is not text".into()),
            },
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.reduce(&function, &arguments)?
            }
            b'b' => {
                // A dictionary's attributes (`_metadata` of a state dict) say nothing of its tensors.
                let state = self.pop()?;
                return match self.top()? {
                    Value::Dict(_) => Ok(()),
                    Value::Object(object) if object.ignores_attributes() => Ok(()),
                    Value::NumpyType(_) => numpy::check_order(&state),
                    other => Err(format!("attributes of {} are not read", other.describe())),
                };
            }
            b'Q' => {
                let id = self.pop()?;
                self.globals.persistent(&id)?
            }
            0x81 => {
                self.pop()?;
                return Err(match self.pop()? {
                    Value::Global(class) => {
                        format!(
                            "it holds an object of class `{class}`, whose code is not run; save the state_dict alone"
                        )
                    }
                    other => format!("an object of {}", other.describe()),
                });
            }
            _ => return Err("not a pickle of plain values or tensors".into()),
        };
        self.stack.push(value);
        Ok(())
    }

    /// The result of calling `function`: Python's containers and numpy's scalars here, all others by the globals.
    fn reduce(
        &mut self,
        function: &Value<G::Object>,
        arguments: &Value<G::Object>,
    ) -> Result<Value<G::Object>> {
        let (Value::Global(name), Value::Tuple(args, _)) = (function, arguments) else {
            return Err(format!("{} is called", function.describe()));
        };
        match (&**name, &**args) {
            ("collections.OrderedDict", []) => Ok(self.new_dict(vec![])),
            ("collections.OrderedDict", [Value::List(items)]) => {
                // Taken, not copied: a list that is used again and again would grow without bound.
                let items = std::mem::take(&mut self.lists[*items]);
                let pair = |item: Value<G::Object>| match item {
                    Value::Tuple(pair, _) if pair.len() == 2 => Ok((pair[0].clone(), pair[1].clone())),
                    Value::List(pair) if self.lists[pair].len() == 2 => {
                        Ok((self.lists[pair][0].clone(), self.lists[pair][1].clone()))
                    }
                    other => Err(format!("an OrderedDict of {}", other.describe())),
                };
                let items = items.into_iter().map(pair).collect::<Result<_>>()?;
                Ok(self.new_dict(items))
            }
            ("_codecs.encode", [Value::Text(data), ..]) => {
                self.made += data.len();
                Ok(Value::text(&latin1(data.chars())))
            }
            ("numpy.dtype", [Value::Text(code), ..]) => Ok(Value::NumpyType(code.clone())),
            (
                "numpy.core.multiarray.scalar" | "numpy._core.multiarray.scalar",
                [Value::NumpyType(code), data],
            ) => numpy::scalar(code, data),
            _ => self
                .globals
                .call(name, args)?
                .ok_or_else(|| format!("it wants `{name}` called; only {} are read", self.globals.known())),
        }
    }

    /// Refuses a pickle of `length` bytes that made many times as many.
    fn bounded(&self, length: usize) -> Result<()> {
        if self.made > MADE.0 + MADE.1 * length {
            return Err(format!("its {length} bytes make {} of names and strings", self.made));
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Value<G::Object>> {
        let full = self.stack.len() > self.floor();
        full.then(|| self.stack.pop()).flatten().ok_or_else(|| "an empty stack".to_owned())
    }

    fn top(&self) -> Result<&Value<G::Object>> {
        self.stack
            .last()
            .filter(|_| self.stack.len() > self.floor())
            .ok_or_else(|| "an empty stack".to_owned())
    }

    /// What lies below belongs to whoever set the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn since_mark(&mut self) -> Result<Vec<Value<G::Object>>> {
        let mark = self.marks.pop().ok_or("no mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn new_list(&mut self, items: Vec<Value<G::Object>>) -> Value<G::Object> {
        self.lists.push(items);
        Value::List(self.lists.len() - 1)
    }

    fn new_dict(&mut self, items: Pairs<G::Object>) -> Value<G::Object> {
        self.dicts.push(items);
        Value::Dict(self.dicts.len() - 1)
    }

    fn append(&mut self, many: bool) -> Result<()> {
        let items = if many { self.since_mark()? } else { vec![self.pop()?] };
        let Value::List(list) = *self.top()? else {
            return Err("values appended to what is not a list".into());
        };
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
        let Value::Dict(dict) = *self.top()? else {
            return Err("items set in what is not a dictionary".into());
        };
        self.dicts[dict].extend(items);
        Ok(())
    }

    fn memoize(&mut self, index: usize) -> Result<()> {
        let value = self.top()?.clone();
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&self, index: usize) -> Result<Value<G::Object>> {
        self.memo.get(&index).cloned().ok_or_else(|| format!("memo {index} is empty"))
    }
}

fn tuple<O: Object>(items: Vec<Value<O>>) -> Result<Value<O>> {
    let below = items.iter().map(|v| if let Value::Tuple(_, depth) = v { *depth } else { 0 }).max();
    let depth = below.unwrap_or(0) + 1;
    if depth > MAX_DEPTH {
        return Err(format!("tuples nested more than {MAX_DEPTH} deep"));
    }
    Ok(Value::Tuple(items.into(), depth))
}

fn pairs<O: Object>(items: Vec<Value<O>>) -> Result<Pairs<O>> {
    if items.len() % 2 == 1 {
        return Err("a key without a value".into());
    }
    let mut items = items.into_iter();
    Ok(std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect())
}

/// `I` and `L` lines; booleans are `I00` and `I01`.
fn number<O: Object>(line: &str) -> Result<Value<O>> {
    match line {
        "00" => Ok(Value::Bool(false)),
        "01" => Ok(Value::Bool(true)),
        _ => line
            .trim_end_matches('L')
            .parse()
            .map(Value::Int)
            .map_err(|_| format!("`{line}` is not a number")),
    }
}
