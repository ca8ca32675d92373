//! Events, and the sinks that take them.
use std::path::PathBuf;

/// Something worth telling; times are in seconds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A phase (`"backbone features"`, `"damsm"`, `"gan"`) of `total` steps begins.
    PhaseStarted {
        /// The phase's name.
        name: String,
        /// The phase's number of steps.
        total: u64,
        /// Number of steps that a resumed run has done already.
        step: u64,
    },
    /// How far a phase is.
    Progress {
        /// The phase's name.
        phase: String,
        /// Number of steps done.
        step: u64,
        /// Number of steps of the whole phase.
        total: u64,
        /// Number of images that the phase has read.
        images: u64,
        /// Losses and other numbers, in the order to show them.
        scalars: Vec<(String, f64)>,
        /// Learning rates: `lr`, and of the discriminators, where there are any, `lr_discriminator`.
        rates: Vec<(String, f64)>,
        /// Images per second, exponentially smoothed.
        images_per_s: f64,
        /// Seconds left, when it can be told.
        eta: Option<f64>,
    },
    /// Something was measured.
    Evaluation {
        /// Number of steps done when it was measured.
        step: u64,
        /// The numbers by name; those that could not be taken are left out.
        scores: Vec<(String, f64)>,
        /// Why numbers are left out, a line per reason: `hue, lab: REASON`.
        missing: Vec<String>,
    },
    /// An image was written.
    Images {
        /// What the image shows, in a word.
        tag: String,
        /// Number of steps done when it was written.
        step: u64,
        /// The file that was written.
        path: PathBuf,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Number of steps done when it was written.
        step: u64,
        /// The file that was written.
        path: PathBuf,
    },
    /// Information for the user.
    Message {
        /// The text, one line.
        text: String,
    },
    /// Something the user should look into.
    Warning {
        /// The text, one line.
        text: String,
    },
    /// A phase is over.
    PhaseEnded {
        /// The phase's name.
        name: String,
    },
}

impl Event {
    /// What the event is called in a log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PhaseStarted { .. } => "phase_started",
            Self::Progress { .. } => "progress",
            Self::Evaluation { .. } => "evaluation",
            Self::Images { .. } => "images",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Message { .. } => "message",
            Self::Warning { .. } => "warning",
            Self::PhaseEnded { .. } => "phase_ended",
        }
    }
}

/// Somewhere events go: console, JSON lines, a browser.
pub trait Sink: Send {
    /// Must not fail the run: a sink that cannot write returns the reason once and then goes quiet.
    fn event(&mut self, event: &Event) -> Option<String>;
}

/// Several sinks; one sink's failure is told to the others as an [`Event::Warning`].
#[derive(Default)]
pub struct Sinks(Vec<Box<dyn Sink>>);

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sinks({})", self.0.len())
    }
}

impl Sinks {
    /// Adds a sink.
    #[must_use]
    pub fn with(mut self, sink: impl Sink + 'static) -> Self {
        self.0.push(Box::new(sink));
        self
    }

    /// Sends an event to every sink.
    pub fn emit(&mut self, event: &Event) {
        let failures: Vec<_> = self.0.iter_mut().filter_map(|s| s.event(event)).collect();
        for text in failures {
            // Each sink fails at most once, so answers to a warning need no further round.
            self.0.iter_mut().for_each(|s| drop(s.event(&Event::Warning { text: text.clone() })));
        }
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
    use std::sync::{Arc, Mutex};

    /// Fails at the first event, and keeps what it is told after that.
    #[derive(Clone, Default)]
    struct Failing(Arc<Mutex<Option<Vec<Event>>>>);

    impl Sink for Failing {
        fn event(&mut self, event: &Event) -> Option<String> {
            match &mut *self.0.lock().unwrap() {
                Some(told) => told.push(event.clone()),
                failed => {
                    *failed = Some(Vec::new());
                    return Some("the disk is full".to_owned());
                }
            }
            None
        }
    }

    #[test]
    fn the_failure_of_one_sink_is_told_to_the_others() {
        let (first, second) = (Failing::default(), Failing(Arc::new(Mutex::new(Some(Vec::new())))));
        let mut sinks = Sinks::default().with(first).with(second.clone());
        let message = Event::Message { text: "hello".to_owned() };
        sinks.emit(&message);
        let warning = Event::Warning { text: "the disk is full".to_owned() };
        assert_eq!(second.0.lock().unwrap().as_deref(), Some(&[message, warning][..]));
    }

    #[test]
    fn durations_are_told_in_two_units() {
        let shown = [0.4, 59.6, 200., 7500., 273_600.].map(format_duration);
        assert_eq!(shown, ["0 s", "1 min 0 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"]);
    }
}
