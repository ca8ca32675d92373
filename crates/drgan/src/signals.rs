//! Signals that ask to stop: where a session watches for the request, it ends at its next safe place; elsewhere the program
//! ends at once, but never in the middle of a file. A second signal ends it in any case.
use anyhow::Result;
use drgan_train::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Signals that come as one: `timeout` sends its signal to the process and then to its group.
const ONE: Duration = Duration::from_millis(500);

/// How often it is looked whether a signal came: the one way that all systems have.
const LOOK: Duration = Duration::from_millis(20);

/// A request to stop that signals make, and the exit status that follows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// What a session asks between steps.
    pub(crate) interrupt: Interrupt,
    /// Held while a file is written.
    writing: Arc<Mutex<()>>,
    status: Arc<AtomicU8>,
}

impl Stop {
    /// Hears SIGINT (Ctrl-C), SIGTERM and, unless `nohup` shuts it out, SIGHUP from now on.
    ///
    /// # Errors
    /// The system refuses it.
    pub(crate) fn install() -> Result<Self> {
        let stop = Self::default();
        #[cfg(unix)]
        write_past_the_limit_is_an_error()?;
        let mut flags = Vec::new();
        for signal in signals() {
            let came = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, came.clone())?;
            flags.push((signal, came));
        }
        let heard = stop.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut first = None;
            loop {
                for (signal, came) in &flags {
                    if came.swap(false, Ordering::SeqCst) {
                        heard.answer(*signal, &mut first, Instant::now());
                    }
                }
                std::thread::sleep(LOOK);
            }
        })?;
        Ok(stop)
    }

    /// The exit status of a program that was asked to stop, as shells have it: 128 and the signal's number.
    pub(crate) fn status(&self) -> Option<u8> {
        match self.status.load(Ordering::SeqCst) {
            0 => None,
            status => Some(status),
        }
    }

    /// Keeps the first signal from ending the program as long as what is returned lives: while a file is written.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, signal: i32, first: &mut Option<Instant>, now: Instant) {
        let status = status(signal);
        match answer(first, now, self.interrupt.is_watched()) {
            Answer::Stop => {
                self.status.store(status, Ordering::SeqCst);
                self.interrupt.request();
            }
            Answer::SameAgain => {}
            Answer::EndFile => {
                // Elsewhere, so that a second signal is heard.
                let writing = self.writing.clone();
                std::thread::spawn(move || {
                    let _written = writing.lock();
                    std::process::exit(status.into());
                });
            }
            Answer::Quit => std::process::exit(status.into()),
        }
    }
}

fn status(signal: i32) -> u8 {
    128 + u8::try_from(signal).unwrap_or(0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The session is asked to stop.
    Stop,
    SameAgain,
    /// The program ends once no file is being written.
    EndFile,
    Quit,
}

/// What follows from a signal at `now`; `first` is when the first came.
fn answer(first: &mut Option<Instant>, now: Instant, watched: bool) -> Answer {
    match *first {
        None => {
            *first = Some(now);
            if watched { Answer::Stop } else { Answer::EndFile }
        }
        Some(first) if now.duration_since(first) < ONE => Answer::SameAgain,
        Some(_) => Answer::Quit,
    }
}

#[cfg(unix)]
fn signals() -> Vec<i32> {
    use signal_hook::consts::SIGHUP;
    let hangup = (!hangup_is_ignored()).then_some(SIGHUP);
    [SIGINT, SIGTERM].into_iter().chain(hangup).collect()
}

/// A write beyond the limit of a file's size (`ulimit -f`) sends SIGXFSZ, which would end the program: heard, it leaves an error to
/// whoever writes.
#[cfg(unix)]
fn write_past_the_limit_is_an_error() -> Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
    Ok(())
}

#[cfg(not(unix))]
fn signals() -> Vec<i32> {
    vec![SIGINT, SIGTERM]
}

/// Whether the program was started with SIGHUP shut out, as by `nohup`; said where the system does not tell.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Signal n is bit n - 1.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_none_or(|mask| mask & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_at_once_are_one_and_a_later_one_quits() {
        for (watched, once) in [(true, Answer::Stop), (false, Answer::EndFile)] {
            let (mut first, start) = (None, Instant::now());
            assert_eq!(answer(&mut first, start, watched), once);
            assert_eq!(answer(&mut first, start + ONE / 2, watched), Answer::SameAgain);
            assert_eq!(answer(&mut first, start + ONE, watched), Answer::Quit);
        }
        assert_eq!([2, 15, 1].map(status), [130, 143, 129]);
    }
}
