//! How long a part may still take, and whether the user has asked to stop.
use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a part may take.
pub(crate) const PART: Duration = Duration::from_secs(8 * 60);
/// What all parts may take.
pub(crate) const ALL: Duration = Duration::from_secs(20 * 60);
/// Exit status of the program that does the work, where it was asked to stop.
pub(crate) const STOPPED: u8 = 128;

/// The time that a part has left.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    part_ends: Instant,
    all_end: Instant,
    stop: Arc<AtomicBool>,
}

impl Clock {
    /// A clock that starts now, of so much time; it hears signals, and whoever watches over this program by closing its standard
    /// input. Both let the work at hand end.
    ///
    /// # Errors
    /// The system takes no handler of the signals.
    pub(crate) fn start(all: Duration) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, stop.clone()).context("signals cannot be caught")?;
        }
        let closed = stop.clone();
        std::thread::spawn(move || {
            drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
            closed.store(true, Ordering::SeqCst);
        });
        Ok(Self::of(all, stop))
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
