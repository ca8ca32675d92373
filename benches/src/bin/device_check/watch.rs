//! The program starts itself to do the work, and watches over it: what ends that without a word is told with the item that was
//! worked on, and the rest goes on in another process.
use crate::clock::{ALL, STOPPED};
use crate::options::Options;
use crate::plan::{nothing_runs, running};
use crate::results::Results;
use crate::{CANNOT, unusable};
use anyhow::{Context, Result};
use drgan_terminal::remark;
use drgan_train::run::LockedFolder;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(20);
/// Signals that come as one: `timeout` sends its signal to the process and then to its group.
const ONE: Duration = Duration::from_millis(500);

/// Does the work in another process, which alone has the folder meanwhile.
///
/// # Errors
/// The folder cannot be written; the program cannot be started.
pub(crate) fn over(options: &Options, out: &Path) -> Result<ExitCode> {
    if let Err(e) = std::fs::create_dir_all(out) {
        return Ok(unusable(&format!("{}: cannot be created: {e}", out.display())));
    }
    let lock = LockedFolder::lock(out);
    if let Err(e) = &lock {
        return Ok(unusable(&e.to_string()));
    }
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGINT, SIGTERM] {
        signal_hook::flag::register_usize(number, signal.clone(), number.unsigned_abs() as usize)
            .context("signals cannot be caught")?;
    }
    nothing_runs(out);
    let ends = Instant::now() + ALL;
    let mut continues = false;
    loop {
        let mut worker =
            Command::new(std::env::current_exe().context("where the program lies is not known")?);
        worker.args(options.arguments(out));
        worker.arg("--worker").arg(ends.saturating_duration_since(Instant::now()).as_secs().to_string());
        if continues {
            worker.arg("--continues");
        }
        let mut worker =
            worker.stdin(Stdio::piped()).spawn().context("the program cannot be started again")?;
        let (status, stopped_by) = ended(&mut worker, &signal)?;
        match (status.code(), stopped_by) {
            (Some(code), Some(number)) if code == i32::from(STOPPED) => {
                return Ok(ExitCode::from(STOPPED + number));
            }
            (Some(code), _) => return Ok(ExitCode::from(u8::try_from(code).unwrap_or(CANNOT))),
            (None, Some(number)) => return Ok(ExitCode::from(STOPPED + number)),
            (None, None) => {}
        }
        let how = format!("the program was ended by {}", name(status));
        let Some((part, item)) = running(out) else {
            remark(format!("error: {how} before any item"));
            return Ok(ExitCode::from(CANNOT));
        };
        remark(format!("{part}: {item}: FAILED: {how} while this ran; the rest goes on"));
        let mut results =
            Results::read(out, &part).with_context(|| format!("{part}: its results are gone"))?;
        results.died(&item, format!("{how} while this ran"));
        results.keep(out)?;
        nothing_runs(out);
        continues = true;
    }
}

/// How the work ended, and the signal that it was asked to stop by: the first lets the item at hand end, the second does not.
fn ended(worker: &mut Child, signal: &AtomicUsize) -> Result<(ExitStatus, Option<u8>)> {
    let mut first: Option<(u8, Instant)> = None;
    loop {
        if let Some(status) = worker.try_wait()? {
            return Ok((status, first.map(|(number, _)| number)));
        }
        let came = u8::try_from(signal.swap(0, Ordering::SeqCst)).unwrap_or(0);
        match first {
            _ if came == 0 => {}
            None => {
                drop(worker.stdin.take());
                first = Some((came, Instant::now()));
            }
            Some((_, at)) if at.elapsed() > ONE => worker.kill()?,
            Some(_) => {}
        }
        std::thread::sleep(LOOK);
    }
}

/// What ended a program that did not end by itself.
fn name(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        let number = status.signal().unwrap_or(0);
        signal_hook::low_level::signal_name(number)
            .map_or_else(|| format!("signal {number}"), |name| format!("{name} (signal {number})"))
    }
    #[cfg(not(unix))]
    status.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn();
        shell.expect("a shell")
    }

    #[test]
    fn a_signal_closes_the_input_and_a_program_that_dies_is_told_by_what() -> Result<()> {
        // Ends where its input does.
        let (status, by) =
            ended(&mut shell("cat; exit 7"), &AtomicUsize::new(SIGTERM.unsigned_abs() as usize))?;
        assert_eq!((status.code(), by), (Some(7), Some(15)));
        let (status, by) = ended(&mut shell("kill -ABRT $$"), &AtomicUsize::new(0))?;
        assert_eq!((status.code(), by, name(status)), (None, None, "SIGABRT (signal 6)".to_owned()));
        Ok(())
    }
}
