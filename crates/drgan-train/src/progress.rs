//! Where a phase stands, from how much of it is done.
use crate::events::{Event, Rate};
use crate::step::Scalar;
use std::time::Instant;

/// Turns "this much is done" into progress events with a rate and an ETA.
pub struct Meter {
    phase: &'static str,
    /// Units in all, and pictures a unit.
    total: u64,
    images_a_unit: u64,
    done: u64,
    rate: Rate,
    last: Instant,
}

impl Meter {
    /// A phase of `total` units of `images_a_unit` pictures each, `done` of which lie behind it.
    pub fn new(phase: &'static str, total: u64, images_a_unit: u64, done: u64) -> Self {
        Self { phase, total, images_a_unit, done, rate: Rate::default(), last: Instant::now() }
    }

    /// The event that opens the phase.
    pub fn started(&self) -> Event {
        Event::PhaseStarted { name: self.phase.to_owned(), total: self.total }
    }

    /// `done` units are done now.
    pub fn at(&mut self, done: u64, scalars: &[Scalar]) -> Event {
        let now = Instant::now();
        self.rate.add(done.saturating_sub(self.done) * self.images_a_unit, now - self.last);
        (self.done, self.last) = (done, now);
        Event::Progress {
            phase: self.phase.to_owned(),
            step: done,
            total: self.total,
            images: done * self.images_a_unit,
            scalars: scalars.iter().map(|(name, value)| (name.clone(), f64::from(*value))).collect(),
            images_per_s: self.rate.per_second(),
            eta: self.rate.eta(self.total.saturating_sub(done) * self.images_a_unit),
        }
    }

    /// Time that passes from here to the next [`Meter::at`] counts; what passed before does not.
    pub fn skip_pause(&mut self) {
        self.last = Instant::now();
    }

    /// The event that closes the phase.
    pub fn ended(&self) -> Event {
        Event::PhaseEnded { name: self.phase.to_owned() }
    }
}
