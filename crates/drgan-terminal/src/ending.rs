//! The end of a program that could not do what it was asked for: what it says, and its exit status.
use crate::output::{Unwritable, printable, remark, try_remark};
use std::error::Error;
use std::process::ExitCode;

/// Exit status where the reader of stdout is gone, as shells have it for SIGPIPE (13), which Rust's programs ignore.
const READER_IS_GONE: u8 = 128 + 13;

/// Says why a command has failed, in one line to stderr, with what to do about it; returns its exit status, 1. Of an error whose
/// message `is_complete` no causes are added: it tells of them in words of its own. A reader who closed the pipe is told nothing,
/// and the status is 141.
pub fn failed(
    error: &anyhow::Error,
    is_complete: impl Fn(&(dyn Error + 'static)) -> bool,
    hint: Option<&str>,
) -> ExitCode {
    if error.downcast_ref::<Unwritable>().is_some_and(Unwritable::reader_is_gone) {
        return ExitCode::from(READER_IS_GONE);
    }
    let line = format!("error: {}", in_one_line(error, is_complete));
    remark(hint.map_or_else(|| line.clone(), |hint| format!("{line}\n  {hint}")));
    ExitCode::FAILURE
}

/// Prints what clap has to say, help to stdout or a mistake to stderr, and returns the exit status: 0 or 2, or that of
/// [`failed`] where help cannot be written.
pub fn refused(answer: &clap::Error) -> ExitCode {
    // Styles are escape sequences too: a mistake that quotes others is told without them.
    let plain = answer.render().to_string();
    let printed = match answer.use_stderr() && printable(&plain) != plain {
        true => try_remark(plain),
        false => answer.print(),
    };
    match printed {
        Err(e) if !answer.use_stderr() => failed(&Unwritable::from(e).into(), |_| true, None),
        _ => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2)),
    }
}

/// The error and its causes in one line, up to the first whose message is complete; a cause that the message before it quotes
/// is not said again.
fn in_one_line(error: &anyhow::Error, is_complete: impl Fn(&(dyn Error + 'static)) -> bool) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let said = cause.to_string();
        if !line.contains(&said) {
            line = if line.is_empty() { said } else { format!("{line}: {said}") };
        }
        if is_complete(cause) {
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn a_cause_is_said_once() {
        let cause = std::io::Error::other("no such disk");
        let quoted = anyhow::Error::new(cause).context("a.png: no such disk").context("while drawing");
        assert_eq!(in_one_line(&quoted, |_| false), "while drawing: a.png: no such disk");
    }

    #[test]
    fn a_complete_message_is_followed_by_no_cause() {
        #[derive(Debug, thiserror::Error)]
        #[error("a.json: line 3: no comma")]
        struct Complete(#[source] std::io::Error);
        let e = anyhow::Error::new(Complete(std::io::Error::other("no comma at line 1"))).context("reading");
        let complete = |e: &(dyn Error + 'static)| e.is::<Complete>();
        assert_eq!(in_one_line(&e, complete), "reading: a.json: line 3: no comma");
        assert!(in_one_line(&e, |_| false).ends_with("no comma: no comma at line 1"));
    }

    #[test]
    fn a_reader_who_is_gone_is_told_from_a_full_disk_behind_any_context() {
        let status = |kind| {
            let error =
                anyhow::Error::new(Unwritable::from(std::io::Error::from(kind))).context("while listing");
            failed(&error, |_| false, None)
        };
        assert_eq!(status(ErrorKind::BrokenPipe), ExitCode::from(141));
        assert_eq!(status(ErrorKind::StorageFull), ExitCode::FAILURE);
    }
}
