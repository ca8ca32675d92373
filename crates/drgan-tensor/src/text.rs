//! Text of unknown origin, made fit for a terminal and a log.
use std::fmt::{self, Display, Write};
use std::path::Path;

/// Characters of one text that are shown; a name or a reason is shorter.
const SHOWN: usize = 2000;

/// `text` as one line without anything that a terminal acts on: control characters (ESC and line breaks among them) and marks
/// that change the direction of writing are shown as Rust's escapes, and what is beyond 2000 characters is cut, with `...`.
///
/// ```
/// use drgan_tensor::internal::escaped;
/// assert_eq!(escaped("a\u{1b}[2Jb\n").to_string(), r"a\u{1b}[2Jb\n");
/// assert_eq!(escaped("naïve 鳥 'x'").to_string(), "naïve 鳥 'x'");
/// ```
pub fn escaped(text: &str) -> impl Display + '_ {
    Escaped(text)
}

/// A path as it is shown to people: as [`escaped`] text, so that a name can neither move a terminal's cursor nor begin a line.
///
/// ```
/// use drgan_tensor::internal::shown;
/// assert_eq!(shown("runs/a\u{1b}[2J\nerror: b".as_ref()).to_string(), r"runs/a\u{1b}[2J\nerror: b");
/// ```
pub fn shown(path: &Path) -> impl Display + '_ {
    let text = path.to_string_lossy();
    fmt::from_fn(move |f| Escaped(&text).fmt(f))
}

/// A number and the words for what it counts: of each `[one|many]` in `words`, what fits the number.
///
/// ```
/// use drgan_tensor::internal::counted;
/// let said = |n: usize| counted(n, "picture[|s] [is|are] not in the list");
/// assert_eq!([1, 2].map(said), ["1 picture is not in the list", "2 pictures are not in the list"]);
/// ```
pub fn counted(number: impl Into<Count>, words: &str) -> String {
    let Count(number) = number.into();
    format!("{number} {}", agreeing(number, words))
}

/// The words for what `number` counts, as [`counted`], without the number.
pub fn agreeing(number: impl Into<Count>, words: &str) -> String {
    let Count(number) = number.into();
    let mut text = String::with_capacity(words.len());
    for part in words.split_inclusive(']') {
        match part.strip_suffix(']').and_then(|part| part.rsplit_once('[')) {
            Some((before, forms)) => {
                let (one, many) = forms.split_once('|').unwrap_or((forms, forms));
                text += before;
                text += if number == 1 { one } else { many };
            }
            None => text += part,
        }
    }
    text
}

/// How many there are of something.
#[derive(Clone, Copy, Debug)]
pub struct Count(u64);

impl From<u64> for Count {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl From<usize> for Count {
    fn from(number: usize) -> Self {
        Self(number as u64)
    }
}

struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, c) in self.0.chars().enumerate() {
            match c {
                _ if i == SHOWN => return f.write_str("..."),
                _ if c.is_control() => write!(f, "{}", c.escape_default())?,
                _ if turns(c) => write!(f, "{}", c.escape_unicode())?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Whether a character is shown as nothing, and changes the order or the lines of those beside it.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        let all: String = (0..=0x1_ffff).filter_map(char::from_u32).collect();
        for part in all.chars().collect::<Vec<_>>().chunks(SHOWN) {
            let shown = escaped(&part.iter().collect::<String>()).to_string();
            assert!(shown.chars().all(|c| !c.is_control() && !turns(c)));
        }
    }

    #[test]
    fn words_agree_with_their_number() {
        let said = |n: usize| counted(n, "caption[|s] [has|have] no word; [it is|they are] left out");
        assert_eq!(said(0), "0 captions have no word; they are left out");
        assert_eq!(said(1), "1 caption has no word; it is left out");
        assert_eq!(agreeing(1u64, "a [b] c"), "a b c");
        assert_eq!(counted(7usize, "]["), "7 ][");
    }

    #[test]
    fn long_text_is_cut() {
        let shown = escaped(&"é".repeat(SHOWN + 1)).to_string();
        assert!(shown.ends_with("é...") && shown.chars().count() == SHOWN + 3);
        assert_eq!(escaped(&"é".repeat(SHOWN)).to_string().chars().count(), SHOWN);
    }
}
