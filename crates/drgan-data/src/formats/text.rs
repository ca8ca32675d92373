//! What several formats share: captions, the ends of lines, names of images.
use crate::error::DataError;
use std::collections::HashMap;

/// `FOLDER/NAME.jpg` without its extension.
pub(super) fn key_of(name: &str) -> &str {
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

/// One caption per line; blank lines do not count.
///
/// # Errors
/// Not UTF-8, or nothing but blank lines.
pub(super) fn captions(path: &str, entry: &str, bytes: Vec<u8>) -> Result<Vec<String>, DataError> {
    let text = String::from_utf8(bytes).map_err(|_| DataError::caption(path, entry, "not UTF-8"))?;
    clean(text.trim_start_matches('\u{feff}').lines()).ok_or_else(|| DataError::caption(path, entry, "empty"))
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
