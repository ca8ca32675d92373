//! Where a phase stands, from how much of it is done.
use super::event::Event;
use std::time::{Duration, Instant};

/// Turns "this much is done" into progress events with a rate and an ETA.
#[derive(Debug)]
pub struct Meter {
    phase: &'static str,
    /// Number of units of the whole phase.
    total: u64,
    /// Images that a unit stands for.
    images_per_unit: u64,
    done: u64,
    rate: Rate,
    last: Instant,
}

impl Meter {
    /// A phase of `total` units of `images_per_unit` images each, `done` of which lie behind it.
    pub fn new(phase: &'static str, total: u64, images_per_unit: u64, done: u64) -> Self {
        Self { phase, total, images_per_unit, done, rate: Rate::default(), last: Instant::now() }
    }

    /// The event that opens the phase.
    pub fn started(&self) -> Event {
        Event::PhaseStarted { name: self.phase.to_owned(), total: self.total, step: self.done }
    }

    /// `done` units are done now, with these losses, at these learning rates.
    pub fn at(&mut self, done: u64, scalars: &[(String, f32)], rates: &[(&str, f64)]) -> Event {
        let now = Instant::now();
        self.rate.add(done.saturating_sub(self.done) * self.images_per_unit, now - self.last);
        (self.done, self.last) = (done, now);
        Event::Progress {
            phase: self.phase.to_owned(),
            step: done,
            total: self.total,
            images: done * self.images_per_unit,
            scalars: scalars.iter().map(|(name, value)| (name.clone(), f64::from(*value))).collect(),
            rates: rates.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect(),
            images_per_s: self.rate.per_second(),
            eta: self.rate.eta(self.total.saturating_sub(done) * self.images_per_unit),
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

/// Exponentially smoothed images per second; time is handed in, so that it can be tested.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    seconds: f64,
    images: f64,
}

impl Rate {
    /// Counts `images` made in `elapsed`; what lies about 20 updates back no longer counts.
    fn add(&mut self, images: u64, elapsed: Duration) {
        self.images = 0.95 * self.images + images as f64;
        self.seconds = 0.95 * self.seconds + elapsed.as_secs_f64();
    }

    /// The smoothed rate, 0 before the first update.
    fn per_second(&self) -> f64 {
        if self.seconds > 0. { self.images / self.seconds } else { 0. }
    }

    /// Seconds that `images` more will take.
    fn eta(&self, images: u64) -> Option<f64> {
        let rate = self.per_second();
        (rate > 0.).then(|| images as f64 / rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_follows_the_last_updates_and_tells_what_is_left() {
        let mut r = Rate::default();
        assert_eq!((r.per_second(), r.eta(5)), (0., None));
        (0..200).for_each(|_| r.add(16, Duration::from_secs(2)));
        assert!((r.per_second() - 8.).abs() < 1e-9 && (r.eta(80).unwrap() - 10.).abs() < 1e-9);
        (0..200).for_each(|_| r.add(16, Duration::from_secs(4)));
        assert!((r.per_second() - 4.).abs() < 0.01);
    }

    #[test]
    fn a_phase_begins_counts_and_ends() {
        let mut meter = Meter::new("gan", 10, 16, 4);
        assert_eq!(meter.started(), Event::PhaseStarted { name: "gan".into(), total: 10, step: 4 });
        let Event::Progress { phase, step, total, images, scalars, rates, images_per_s, eta } =
            meter.at(6, &[("d16".into(), 0.5)], &[("lr", 0.1)])
        else {
            panic!("progress is told");
        };
        assert_eq!((phase.as_str(), step, total, images), ("gan", 6, 10, 96));
        assert_eq!(scalars, [("d16".to_owned(), 0.5)]);
        assert_eq!(rates, [("lr".to_owned(), 0.1)]);
        // Two units of 16 images are behind the rate, four are left.
        let left = eta.unwrap();
        assert!(images_per_s > 0. && (left * images_per_s - 64.).abs() < 1e-6, "{left} {images_per_s}");
        assert_eq!(meter.ended(), Event::PhaseEnded { name: "gan".into() });
    }
}
