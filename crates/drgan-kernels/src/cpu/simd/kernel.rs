//! What is computed over any register type.
use super::register::Simd;

/// Something to compute with whichever registers there are.
pub(crate) trait Kernel {
    type Output;

    /// Implementations are `#[inline(always)]`, and so is what they call over `S`.
    ///
    /// # Safety
    /// The machine has the instructions of `S`.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}
