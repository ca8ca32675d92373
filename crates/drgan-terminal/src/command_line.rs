//! Commands to type: written so that a shell reads them back as they are meant.
use std::ffi::OsStr;
use std::fmt::{self, Write};

/// A command that is shown to be typed: each part is quoted where a shell would read it otherwise.
///
/// ```
/// use drgan_terminal::CommandLine;
/// let line = CommandLine::new("cargo xtask", "sample").argument("it costs $HOME").option("--run", "runs/a");
/// assert_eq!(line.to_string(), "cargo xtask sample --run runs/a 'it costs $HOME'");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    options: String,
    arguments: String,
}

impl CommandLine {
    /// A command of a program, both as they are: `drgan` or `cargo xtask`, and words such as `data verify`.
    pub fn new(program: &str, command: &str) -> Self {
        Self { options: format!("{program} {command}"), arguments: String::new() }
    }

    /// With an option and its value.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref();
        let separator = if is_like_an_option(value) { '=' } else { ' ' };
        // Writing to a text cannot fail.
        let _ = write!(self.options, " {name}{separator}{}", quoted(value));
        self
    }

    /// With an option that takes no value.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        let _ = write!(self.options, " {name}");
        self
    }

    /// With an argument that belongs to no option; arguments come behind the options.
    #[must_use]
    pub fn argument(mut self, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref();
        if is_like_an_option(value) && !self.arguments.starts_with(" --") {
            self.arguments.insert_str(0, " --");
        }
        let _ = write!(self.arguments, " {}", quoted(value));
        self
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.options, self.arguments)
    }
}

fn is_like_an_option(value: &OsStr) -> bool {
    value.as_encoded_bytes().starts_with(b"-")
}

/// A word as any shell reads it back. Characters that a terminal would obey or that are not seen, line ends among them, and bytes
/// that are no UTF-8, are written as `$'\x1b'`, which all but the smallest shells read.
pub fn quoted(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref();
    if word.to_str().is_some_and(is_plain) {
        return word.to_string_lossy().into_owned();
    }
    let seen = |text: &&str| !text.chars().any(is_obeyed);
    match word.to_str().filter(seen).and_then(|text| shlex::try_quote(text).ok()) {
        Some(text) => text.into_owned(),
        None => escaped(word.as_encoded_bytes()),
    }
}

/// Whether every shell reads a word as it is; settings such as `loader.batch=2` are easier to read so.
fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,-=".contains(c);
    !word.is_empty() && !word.starts_with('=') && word.chars().all(plain)
}

/// Whether a terminal acts on a character, or shows nothing of it but the order of those beside it.
pub(crate) fn is_obeyed(c: char) -> bool {
    let turns = |c| matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    c.is_control() || turns(c)
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::from("$'");
    for &byte in bytes {
        match byte {
            b'\'' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
    }
    text + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 15] = [
        "a",
        "a b",
        "a=b",
        "=ls",
        "$HOME",
        "`id`",
        "it's \"so\"",
        "!x",
        "~",
        "a*?[b]",
        "",
        "#",
        "grün",
        "-5",
        "a;b&c|d>e\\",
    ];

    #[test]
    fn words_are_read_back_as_they_were() {
        for word in WORDS {
            let line = CommandLine::new("drgan", "sample").argument(word).to_string();
            let mut read = shlex::split(&line).unwrap();
            assert_eq!(read.pop().as_deref(), Some(word), "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_runs_nothing_of_a_quoted_word() {
        use std::os::unix::ffi::OsStrExt;
        let said = |shell: &str, word: &OsStr| {
            let line = format!("printf %s {}", quoted(word));
            let said = std::process::Command::new(shell).args(["-c", &line]).output().unwrap();
            assert!(said.status.success() && said.stderr.is_empty(), "{line}");
            said.stdout
        };
        for word in WORDS {
            assert_eq!(said("sh", OsStr::new(word)), word.as_bytes());
        }
        if std::path::Path::new("/bin/bash").exists() {
            for bytes in [&b"a\x1b[31m'b\\"[..], b"p\xeache \t", b"a\nerror: b", "a\u{202e}b".as_bytes()] {
                assert_eq!(said("/bin/bash", OsStr::from_bytes(bytes)), bytes);
            }
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(quoted("a\x1b[31m'b"), r"$'a\x1b[31m\'b'");
        assert_eq!([quoted("a.b=2"), quoted("=ls"), quoted("")], ["a.b=2", "'=ls'", "''"]);
        assert_eq!(quoted("a\u{202e}b"), r"$'a\xe2\x80\xaeb'");
    }

    #[test]
    fn values_that_begin_with_a_dash_stay_values() {
        let line = CommandLine::new("cargo xtask", "sample")
            .argument("red")
            .argument("-5 degrees")
            .option("--run", "-r");
        assert_eq!(line.to_string(), "cargo xtask sample --run=-r -- red '-5 degrees'");
    }
}
