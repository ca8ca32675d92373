//! Memory that a thread keeps from one task to the next.
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

thread_local! {
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of `len` values of any content, which goes back to its thread for the next user.
pub(crate) struct Scratch(Vec<f32>, usize);

impl Scratch {
    pub(crate) fn new(len: usize) -> Self {
        let mut buffer = SCRATCH.with(|s| s.borrow_mut().pop()).unwrap_or_default();
        if buffer.len() < len {
            buffer.resize(len, 0.);
        }
        Self(buffer, len)
    }
}

impl Deref for Scratch {
    type Target = [f32];

    #[inline]
    fn deref(&self) -> &[f32] {
        &self.0[..self.1]
    }
}

impl DerefMut for Scratch {
    #[inline]
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0[..self.1]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.with(|s| s.borrow_mut().push(std::mem::take(&mut self.0)));
    }
}

/// Lends `f` a buffer of `len` values of any content, kept by the thread for the next call. Calls may nest.
pub(crate) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    f(&mut Scratch::new(len))
}
