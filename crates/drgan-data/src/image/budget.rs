//! How much memory the decoding of pictures takes at once, whatever the number of threads.
use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that the pictures being decoded may take together, and so the most that one may take.
pub(super) const BYTES: u64 = 512 << 20;

/// Memory for the decoding of pictures, shared by the threads that decode them.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    taken: Mutex<u64>,
    freed: Condvar,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    /// Waits until `bytes`, at most [`BYTES`], are there. Whoever holds a part waits for nobody, so this ends.
    pub(super) fn take(&self, bytes: u64) -> Held<'_> {
        let bytes = bytes.min(BYTES);
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.freed.wait_while(taken, |taken| *taken + bytes > BYTES);
        *room.unwrap_or_else(PoisonError::into_inner) += bytes;
        Held { budget: self, bytes }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.budget.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_never_hold_more_than_there_is() {
        let (budget, most) = (Budget::default(), Mutex::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for part in [BYTES, BYTES / 2, BYTES / 3] {
                        let _held = budget.take(part);
                        let now = *budget.taken.lock().unwrap();
                        let mut most = most.lock().unwrap();
                        *most = now.max(*most);
                    }
                });
            }
        });
        assert_eq!(*most.lock().unwrap(), BYTES);
        assert_eq!(*budget.taken.lock().unwrap(), 0);
    }
}
