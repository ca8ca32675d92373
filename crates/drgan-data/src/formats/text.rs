//! What several formats share: captions, the ends of lines, names of images.
use crate::error::DataError;
use std::collections::HashMap;

/// `FOLDER/NAME.jpg` without its extension.
pub(crate) fn key_of(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(key, _)| key)
}

/// A key per picture: the first of its two names, or the second where another picture has the first too. The second names are
/// all different.
pub(super) fn distinct(names: Vec<[String; 2]>) -> Vec<String> {
    let mut long = vec![false; names.len()];
    loop {
        let mut times: HashMap<&str, usize> = HashMap::new();
        let key = |i: usize| names[i][usize::from(long[i])].as_str();
        (0..names.len()).for_each(|i| *times.entry(key(i)).or_default() += 1);
        let again: Vec<usize> = (0..names.len()).filter(|i| !long[*i] && times[key(*i)] > 1).collect();
        if again.is_empty() {
            break;
        }
        again.into_iter().for_each(|i| long[i] = true);
    }
    names.into_iter().zip(long).map(|([short, full], long)| if long { full } else { short }).collect()
}

/// One caption per line; blank lines do not count. UTF-8, or UTF-16 with a byte order mark.
///
/// # Errors
/// Of another encoding, or nothing but blank lines.
pub(super) fn captions(path: &str, entry: &str, bytes: Vec<u8>) -> Result<Vec<String>, DataError> {
    let text = decoded(bytes).map_err(|reason| DataError::caption(path, entry, reason))?;
    clean(lines(&text)).ok_or_else(|| DataError::caption(path, entry, "empty"))
}

/// The lines of a text, which end with a line feed, a carriage return or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r'])
}

/// The text of a file, without a byte order mark.
fn decoded(bytes: Vec<u8>) -> Result<String, &'static str> {
    let utf16 = |unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes[2..].as_chunks::<2>();
        let text = char::decode_utf16(pairs.iter().copied().map(unit)).collect::<Result<String, _>>();
        text.ok().filter(|_| rest.is_empty()).ok_or("its byte order mark is of UTF-16, but it is not UTF-16")
    };
    match bytes[..] {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Err("it is UTF-32"),
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        _ if bytes.contains(&0) => Err("it holds NUL bytes: UTF-16 without a byte order mark, or no text"),
        _ => match String::from_utf8(bytes) {
            Ok(text) if is_utf16_without_mark(&text) => {
                Err("it seems to be UTF-16 without a byte order mark")
            }
            Ok(text) => Ok(text.trim_start_matches('\u{feff}').to_owned()),
            Err(_) => Err("not UTF-8"),
        },
    }
}

/// Whether every second byte is a control character that no text has: the high byte of letters of one script, as Cyrillic.
fn is_utf16_without_mark(text: &str) -> bool {
    let is_control = |byte: &u8| matches!(byte, 1..=8 | 14..=31);
    let every_second = |from: usize| text.as_bytes().iter().skip(from).step_by(2).all(is_control);
    text.len() >= 4 && text.len().is_multiple_of(2) && (every_second(0) || every_second(1))
}

/// Trimmed lines without the blank ones, if any is left.
pub(super) fn clean<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<String>> {
    let all: Vec<String> = lines.map(trimmed).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    (!all.is_empty()).then_some(all)
}

/// A text without white space and byte order marks at its ends: files that begin with a mark are joined to one.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// The bytes of a text in UTF-8 without the byte order mark that they may begin with.
pub(super) fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The lines of a list with their numbers, from 1. They end with a line feed, a carriage return or both.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let unix = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    unix.flat_map(|line| line.split('\r')).enumerate().map(|(i, line)| (i + 1, line))
}
