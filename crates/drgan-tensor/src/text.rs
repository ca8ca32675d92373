//! Text of unknown origin, made fit for a terminal and a log.
use std::fmt::{self, Display, Write};

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
    fn long_text_is_cut() {
        let shown = escaped(&"é".repeat(SHOWN + 1)).to_string();
        assert!(shown.ends_with("é...") && shown.chars().count() == SHOWN + 3);
        assert_eq!(escaped(&"é".repeat(SHOWN)).to_string().chars().count(), SHOWN);
    }
}
