//! How long a part may still take, and whether the user has asked to stop.
use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a part may take.
pub(crate) const PART: Duration = Duration::from_secs(8 * 60);
/// What all parts may take.
pub(crate) const ALL: Duration = Duration::from_secs(20 * 60);
/// The number of the signal of Ctrl-C.
const INTERRUPT: i32 = 2;
/// Exit status of a program that was stopped by Ctrl-C, as shells have it.
pub(crate) const STOPPED: u8 = 128 + INTERRUPT as u8;

/// The time that a part has left.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    part_ends: Instant,
    all_end: Instant,
    stop: Arc<AtomicBool>,
}

impl Clock {
    /// A clock that starts now and hears Ctrl-C: the first lets the work at hand end, the second ends the program.
    ///
    /// # Errors
    /// The system takes no handler of the signal.
    pub(crate) fn start() -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register_conditional_shutdown(INTERRUPT, STOPPED.into(), stop.clone())
            .and_then(|_| signal_hook::flag::register(INTERRUPT, stop.clone()))
            .context("Ctrl-C cannot be caught")?;
        Ok(Self::of(ALL, stop))
    }

    fn of(all: Duration, stop: Arc<AtomicBool>) -> Self {
        let now = Instant::now();
        Self { part_ends: now + PART.min(all), all_end: now + all, stop }
    }

    /// A clock of this much time.
    #[cfg(test)]
    pub(crate) fn lasting(time: Duration) -> Self {
        Self::of(time, Arc::default())
    }

    /// The next part begins.
    pub(crate) fn next_part(&mut self) {
        self.part_ends = (Instant::now() + PART).min(self.all_end);
    }

    /// The time that is left: none where the user has asked to stop.
    pub(crate) fn left(&self) -> Duration {
        if self.is_stopped() {
            Duration::ZERO
        } else {
            self.part_ends.saturating_duration_since(Instant::now())
        }
    }

    /// Whether the user has asked to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Why no more is begun; `None` while there is time.
    pub(crate) fn over(&self) -> Option<&'static str> {
        if self.is_stopped() {
            Some("stopped")
        } else if self.left().is_zero() {
            Some("its time is over")
        } else {
            None
        }
    }
}
