//! A request to stop at the next safe place.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether the user asked to stop; clones share the answer. Whoever handles the signal makes it and hands it in.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    requested: AtomicBool,
    watchers: AtomicUsize,
}

/// Somebody who asks [`Interrupt::requested`] again and again, as long as this lives.
#[derive(Debug)]
pub struct Watch(Arc<State>);

impl Interrupt {
    /// Asks to stop.
    pub fn request(&self) {
        self.0.requested.store(true, Ordering::SeqCst);
    }

    /// Whether a stop was asked for; loops poll this between steps.
    pub fn requested(&self) -> bool {
        self.0.requested.load(Ordering::SeqCst)
    }

    /// Announces that the request is polled, until the watch is dropped.
    pub fn watch(&self) -> Watch {
        self.0.watchers.fetch_add(1, Ordering::SeqCst);
        Watch(self.0.clone())
    }

    /// Whether anybody polls the request. Where nobody does, nothing would be saved by waiting: whoever handles the signal
    /// may end the process.
    pub fn is_watched(&self) -> bool {
        self.0.watchers.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_request_and_who_watches() {
        let a = Interrupt::default();
        let b = a.clone();
        assert!(!b.requested() && !b.is_watched());
        let watch = a.watch();
        assert!(b.is_watched());
        b.request();
        assert!(a.requested());
        drop(watch);
        assert!(!b.is_watched() && b.requested());
    }
}
