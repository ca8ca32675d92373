//! A request to stop at the next safe place.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether the user asked to stop; clones share the answer. Whoever handles the signal makes it and hands it in.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
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
