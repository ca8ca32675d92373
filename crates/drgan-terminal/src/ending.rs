//! The end of a program that could not do what it was asked for: what it says, and its exit status.
use crate::output::{Unwritable, remark};
use std::process::ExitCode;

/// Exit status where the reader of stdout is gone, as shells have it for SIGPIPE (13), which Rust's programs ignore.
const READER_IS_GONE: u8 = 128 + 13;

/// Says why a command has failed, in one line to stderr, with what to do about it; returns its exit status, 1. A reader who
/// closed the pipe is told nothing, and the status is 141.
pub fn failed(error: &anyhow::Error, hint: Option<&str>) -> ExitCode {
    if error.downcast_ref::<Unwritable>().is_some_and(Unwritable::reader_is_gone) {
        return ExitCode::from(READER_IS_GONE);
    }
    let line = format!("error: {}", in_one_line(error));
    remark(hint.map_or_else(|| line.clone(), |hint| format!("{line}\n  {hint}")));
    ExitCode::FAILURE
}

/// Prints what clap has to say, help to stdout or a mistake to stderr, and returns the exit status: 0 or 2, or that of
/// [`failed`] where help cannot be written.
pub fn refused(answer: &clap::Error) -> ExitCode {
    match answer.print() {
        Err(e) if !answer.use_stderr() => failed(&Unwritable::from(e).into(), None),
        _ => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2)),
    }
}

/// The error and its causes in one line; a cause that the message before it quotes is not said again.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !line.contains(&cause) {
            line = if line.is_empty() { cause } else { format!("{line}: {cause}") };
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Error, ErrorKind};

    #[test]
    fn a_cause_is_said_once() {
        let cause = Error::other("no such disk");
        let quoted = anyhow::Error::new(cause).context("a.png: no such disk").context("while drawing");
        assert_eq!(in_one_line(&quoted), "while drawing: a.png: no such disk");
    }

    #[test]
    fn a_reader_who_is_gone_is_told_from_a_full_disk_behind_any_context() {
        let status = |kind| {
            let error = anyhow::Error::new(Unwritable::from(Error::from(kind))).context("while listing");
            failed(&error, None)
        };
        assert_eq!(status(ErrorKind::BrokenPipe), ExitCode::from(141));
        assert_eq!(status(ErrorKind::StorageFull), ExitCode::FAILURE);
    }
}
