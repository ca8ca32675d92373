//! How many threads a kernel has, and its arguments.
use std::marker::PhantomData;

/// Threads of a block, in all kernels (`THREADS` in common.cuh).
pub(crate) const THREADS: usize = 256;

/// The largest number of rows of blocks.
pub(crate) const MOST_ROWS: usize = 65_535;

/// How many blocks of [`THREADS`] threads a launch has: `x` times `y`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(super) x: usize,
    pub(super) y: usize,
}

impl Grid {
    /// A thread per item (and some more, which have to do nothing).
    pub(crate) fn threads(items: usize) -> Self {
        Self { x: items.div_ceil(THREADS), y: 1 }
    }

    /// A block per item.
    pub(crate) fn blocks(items: usize) -> Self {
        Self { x: items, y: 1 }
    }

    /// The same for each of `rows`, at most [`MOST_ROWS`].
    #[must_use]
    pub(crate) fn times(self, rows: usize) -> Self {
        Self { y: rows, ..self }
    }
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Arg<'a> {
    /// Memory on the device: where, and its bytes; or a null pointer.
    Memory(u64, u64, PhantomData<&'a ()>),
    /// `size_t`.
    Size(u64),
    /// `int` or `unsigned`.
    Int(u32),
    Float(f32),
    Double(f64),
}

impl Arg<'_> {
    /// A null pointer.
    pub(crate) const NONE: Self = Arg::Memory(0, 0, PhantomData);

    /// The memory behind the first `values` f32.
    #[must_use]
    pub(crate) fn after(self, values: usize) -> Self {
        match self {
            Arg::Memory(at, bytes, of) => {
                let before = 4 * values as u64;
                Arg::Memory(at + before, bytes.saturating_sub(before), of)
            }
            other => other,
        }
    }
}

impl From<usize> for Arg<'_> {
    fn from(value: usize) -> Self {
        Self::Size(value as u64)
    }
}

impl From<u32> for Arg<'_> {
    fn from(value: u32) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Arg<'_> {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<f32> for Arg<'_> {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<f64> for Arg<'_> {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

/// What a launch does at least: the bytes of its arguments, each touched once, and the multiplications and additions of a
/// product.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    all(feature = "cuda", not(any(test, feature = "testing"))),
    expect(dead_code, reason = "read where times are taken")
)]
pub(crate) struct Work {
    pub(crate) bytes: u64,
    pub(crate) operations: u64,
}

/// The arguments of a launch, in the kernel's order.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::cuda::launch::Arg::from($value)),*] };
}
pub(crate) use args;
