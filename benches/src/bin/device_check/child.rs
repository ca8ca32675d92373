//! Other programs that a part starts, for as long as the part has time.
use crate::clock::Clock;
use anyhow::{Context, Result};
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const ASKED_EVERY: Duration = Duration::from_millis(50);

/// How another program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The last line that it wrote to stderr.
    pub(crate) fn last_words(&self) -> &str {
        self.stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing")
    }
}

/// What became of another program.
#[derive(Debug)]
pub(crate) enum Child {
    Ended(Ended),
    /// It took longer than it may, and was ended.
    TooLong,
    /// The part's time is over, and it was ended.
    NoTime,
}

/// Runs a program to its end, at most for `most`; what it writes goes to files of the folder meanwhile.
///
/// # Errors
/// It cannot be started; the files cannot be written.
pub(crate) fn run(command: &mut Command, folder: &Path, most: Duration, clock: &Clock) -> Result<Child> {
    let name = command.get_program().display().to_string();
    let (out, err) = (folder.join("stdout"), folder.join("stderr"));
    let file = |path: &Path| File::create(path).with_context(|| path.display().to_string());
    command.stdin(Stdio::null()).stdout(file(&out)?).stderr(file(&err)?);
    let mut child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let over = clock.over().is_some();
        if over || begun.elapsed() > most {
            child.kill()?;
            child.wait()?;
            return Ok(if over { Child::NoTime } else { Child::TooLong });
        }
        std::thread::sleep(ASKED_EVERY);
    };
    let text = |path: &Path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let (stdout, stderr) = (text(&out)?, text(&err)?);
    Ok(Child::Ended(Ended { status, stdout, stderr }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_ends_by_itself_or_when_its_time_is_over() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let shell = |script: &str, most: Duration, clock: &Clock| {
            run(Command::new("sh").args(["-c", script]), folder.path(), most, clock)
        };
        let (long, clock) = (Duration::from_secs(60), Clock::lasting(Duration::from_secs(60)));
        let Child::Ended(ended) = shell("echo a; echo b >&2; exit 3", long, &clock)? else {
            panic!("it ends by itself")
        };
        assert_eq!((ended.status.code(), ended.stdout.as_str(), ended.last_words()), (Some(3), "a\n", "b"));
        assert!(matches!(shell("sleep 30", Duration::ZERO, &clock)?, Child::TooLong));
        assert!(matches!(shell("sleep 30", long, &Clock::lasting(Duration::ZERO))?, Child::NoTime));
        Ok(())
    }
}
