//! Matrix products by cuBLAS.
use super::{Buffer, View};

/// `c = op(a) op(b)`, or `c += op(a) op(b)`, for matrices in rows: `op(a)` is `m x k`, `op(b)` is `k x n`, `c` is `m x n`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    /// How many such products there are, each with its own matrices.
    pub(crate) times: usize,
    /// Whether `c` is added to, rather than written.
    pub(crate) add: bool,
}

/// Where the matrices of a factor lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factor<'a> {
    pub(crate) values: View<'a>,
    /// The first value.
    pub(crate) from: usize,
    /// Values from one row in memory to the next.
    pub(crate) row: usize,
    /// Values from one matrix to the next; 0 for the same in all products.
    pub(crate) step: usize,
    /// Whether `op` transposes it.
    pub(crate) transposed: bool,
}

impl<'a> Factor<'a> {
    /// One matrix from the first value on, of rows of `row` values.
    pub(crate) fn new(values: View<'a>, row: usize) -> Self {
        Self { values, from: 0, row, step: 0, transposed: false }
    }

    /// A matrix every `step` values.
    #[must_use]
    pub(crate) fn every(self, step: usize) -> Self {
        Self { step, ..self }
    }

    /// The same from value `from` on.
    #[must_use]
    pub(crate) fn from(self, from: usize) -> Self {
        Self { from, ..self }
    }

    /// The transposed.
    #[must_use]
    pub(crate) fn transposed(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }
}

/// Where the matrices of the result lie: as [`Factor`].
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) values: &'a mut Buffer,
    pub(crate) from: usize,
    pub(crate) row: usize,
    pub(crate) step: usize,
}
