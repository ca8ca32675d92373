//! What the loop says; it never prints.
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Something worth telling; times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A phase (`"train"`, `"pretrain"`, ...) of `total` steps begins.
    PhaseStarted {
        /// Its name.
        name: String,
        /// Its steps.
        total: u64,
    },
    /// Where a phase stands.
    Progress {
        /// The phase's name.
        phase: String,
        /// Steps done.
        step: u64,
        /// Steps in all.
        total: u64,
        /// Pictures seen.
        images: u64,
        /// Losses and other numbers, in the order to show them.
        scalars: Vec<(String, f64)>,
        /// Smoothed rate, see [`Rate`].
        images_per_s: f64,
        /// Seconds left, when it can be told.
        eta: Option<f64>,
    },
    /// A picture was written.
    Images {
        /// What it shows.
        tag: String,
        /// After this many steps.
        step: u64,
        /// Where it is.
        path: PathBuf,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// After this many steps.
        step: u64,
        /// Where it is.
        path: PathBuf,
    },
    /// For the user's information.
    Message {
        /// One line.
        text: String,
    },
    /// Something the user should look into.
    Warning {
        /// One line.
        text: String,
    },
    /// A phase is over.
    PhaseEnded {
        /// Its name.
        name: String,
    },
}

/// Somewhere events go: console, JSON lines, a browser.
pub trait Sink: Send {
    /// Must not fail the run: a sink that cannot write returns the reason once and then goes quiet.
    fn event(&mut self, event: &Event) -> Option<String>;
}

/// All of them; one sink's failure is told to the others as a [`Event::Warning`].
#[derive(Default)]
pub struct Sinks(Vec<Box<dyn Sink>>);

impl Sinks {
    /// Adds one.
    #[must_use]
    pub fn with(mut self, sink: impl Sink + 'static) -> Self {
        self.0.push(Box::new(sink));
        self
    }

    /// Tells everyone.
    pub fn emit(&mut self, event: &Event) {
        let failures: Vec<_> = self.0.iter_mut().filter_map(|s| s.event(event)).collect();
        for text in failures {
            // Each sink fails at most once, so answers to a warning need no further round.
            self.0.iter_mut().for_each(|s| drop(s.event(&Event::Warning { text: text.clone() })));
        }
    }
}

/// Exponentially smoothed images a second; time is handed in, so that it can be tested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    seconds: f64,
    images: f64,
}

impl Rate {
    /// Counts `images` made in `elapsed`; what lies about 20 updates back no longer counts.
    pub fn add(&mut self, images: u64, elapsed: Duration) {
        self.images = 0.95 * self.images + images as f64;
        self.seconds = 0.95 * self.seconds + elapsed.as_secs_f64();
    }

    /// The smoothed rate, 0 before the first update.
    pub fn per_second(&self) -> f64 {
        if self.seconds > 0. { self.images / self.seconds } else { 0. }
    }

    /// Seconds that `images` more will take.
    pub fn eta(&self, images: u64) -> Option<f64> {
        let rate = self.per_second();
        (rate > 0.).then(|| images as f64 / rate)
    }
}

/// `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn format_duration(seconds: f64) -> String {
    let s = seconds.max(0.).round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_durations() {
        let mut r = Rate::default();
        assert_eq!((r.per_second(), r.eta(5)), (0., None));
        (0..200).for_each(|_| r.add(16, Duration::from_secs(2)));
        assert!((r.per_second() - 8.).abs() < 1e-9 && (r.eta(80).unwrap() - 10.).abs() < 1e-9);
        (0..200).for_each(|_| r.add(16, Duration::from_secs(4)));
        assert!((r.per_second() - 4.).abs() < 0.01);
        let shown = [0.4, 59.6, 200., 7500., 273_600.].map(format_duration);
        assert_eq!(shown, ["0 s", "1 min 0 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"]);
    }
}
