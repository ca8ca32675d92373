//! A pickle's bytes and the strings in them.
use super::value::{Object, Result, Value};

/// A position in a pickle's bytes; nothing is read past their end.
pub(crate) struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Bytes of the whole input.
    pub(super) fn length(&self) -> usize {
        self.all.len()
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

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn line(&mut self) -> Result<&'a str> {
        let rest = &self.all[self.at..];
        let len = rest.iter().position(|b| *b == b'\n').ok_or("cut short within a line")?;
        let line = self.take(len + 1)?;
        std::str::from_utf8(&line[..len]).map_err(|_| "a line that is not text".to_owned())
    }

    /// A length of `N` bytes.
    pub(super) fn len<const N: usize>(&mut self) -> Result<usize> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(self.take(N)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| "a length beyond this machine's".to_owned())
    }
}

/// A quoted line of Python 2: characters up to 255 are bytes.
pub(super) fn quoted<O: Object>(line: &str) -> Result<Value<O>> {
    let inner = ['\'', '"'].iter().find_map(|q| line.trim_end().strip_prefix(*q)?.strip_suffix(*q));
    Ok(Value::text(&latin1(unescape(inner.ok_or("a string without quotes")?)?)))
}

/// Characters up to 255 as a byte each, others as UTF-8.
pub(super) fn latin1(characters: impl IntoIterator<Item = char>) -> Vec<u8> {
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
pub(super) fn unescape(line: &str) -> Result<Vec<char>> {
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
