//! Stopping at the next safe place.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether the user asked to stop; clones share the answer. Made in `main` and handed in.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// One that Ctrl-C (or a termination signal) triggers; the second time the process exits with code 130.
    ///
    /// # Errors
    /// When the process already has a handler.
    pub fn install() -> Result<Self, ctrlc::Error> {
        let this = Self::default();
        let handler = this.clone();
        ctrlc::set_handler(move || {
            if handler.request() > 1 {
                std::process::exit(130);
            }
        })?;
        Ok(this)
    }

    /// Asks to stop; returns how often that has been asked.
    pub fn request(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Whether a stop was asked for; loops poll this between steps.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_request_and_count_it() {
        let a = Interrupt::default();
        let b = a.clone();
        assert!(!b.requested());
        assert_eq!((a.request(), b.requested(), b.request()), (1, true, 2));
    }
}
