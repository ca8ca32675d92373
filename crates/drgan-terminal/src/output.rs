//! What a program prints: results to stdout, remarks to stderr. Neither panics where the stream cannot be written.
use crate::command_line::is_obeyed;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// stdout cannot be written: whoever reads it is gone, or a disk is full.
#[derive(Debug, thiserror::Error)]
#[error("stdout: cannot be written: {0}")]
pub struct Unwritable(#[from] io::Error);

impl Unwritable {
    /// Whether the reader of a pipe has read enough, as `head` does: nothing to complain about.
    pub fn reader_is_gone(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Writes a result to stdout, as one piece; its end gets a line end where it has none.
///
/// # Errors
/// [`Unwritable`]; a command that only lists ends with it, one that has worked says it and ends well.
pub fn result(text: impl Display) -> Result<(), Unwritable> {
    Ok(write(&mut io::stdout().lock(), text)?)
}

/// Writes a remark to stderr, as one piece, if that can be written: there is nowhere to say that it cannot.
pub fn remark(text: impl Display) {
    drop(try_remark(text));
}

/// As [`remark`], for whoever has somewhere to say that stderr cannot be written.
///
/// # Errors
/// Whatever the stream reports.
pub fn try_remark(text: impl Display) -> io::Result<()> {
    write(&mut io::stderr().lock(), text)
}

/// Writes a remark that the next one overwrites, where stderr is a terminal; elsewhere nothing.
pub fn passing(text: impl Display) {
    let mut stderr = io::stderr().lock();
    if stderr.is_terminal() {
        drop(stderr.write_all(format!("\r{}", printable(&text.to_string())).as_bytes()));
    }
}

/// A text that is fit for a terminal, whatever names and captions are in it: what a terminal would obey, or would not show, is
/// written as an escape. Line ends stay; where they come from a name, whoever puts it into a line escapes them.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push(c),
            _ if is_obeyed(c) => shown.extend(c.escape_default()),
            _ => shown.push(c),
        }
    }
    shown
}

fn write(to: &mut impl Write, text: impl Display) -> io::Result<()> {
    let mut text = printable(&text.to_string());
    if !text.ends_with('\n') {
        text.push('\n');
    }
    // In one piece, so that lines of two threads do not mix.
    to.write_all(text.as_bytes())?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_with_one_line_end() {
        let written = |text: &str| {
            let mut to = Vec::new();
            write(&mut to, text).unwrap();
            String::from_utf8(to).unwrap()
        };
        assert_eq!(["", "a", "a\n", "a\nb"].map(written), ["\n", "a\n", "a\n", "a\nb\n"]);
        assert_eq!(written("runs/a\u{1b}[2J\r\u{202e}"), "runs/a\\u{1b}[2J\\r\\u{202e}\n");
    }
}
