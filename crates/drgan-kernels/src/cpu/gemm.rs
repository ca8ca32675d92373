//! Matrix products on the calling thread, by the `gemm` crate.
use super::shared_slice::SharedSlice;

/// A matrix in memory: where it starts and how far its rows and columns lie apart.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    /// Distance of neighbouring rows, in values.
    pub(crate) row: usize,
    /// Distance of neighbouring columns, in values.
    pub(crate) col: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `values`, `row` apart.
    pub(crate) fn rows(values: &'a [f32], row: usize) -> Self {
        Self { values, row, col: 1 }
    }

    /// The transpose of rows of `values`, `row` apart.
    pub(crate) fn transposed(values: &'a [f32], row: usize) -> Self {
        Self { values, row: 1, col: row }
    }

    fn reaches(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.row + (cols - 1) * self.col < self.values.len()
    }
}

/// `c = a b`, or `c += a b`, on this thread; `a` is `(m, k)`, `b` is `(k, n)`, `c` is `(m, n)` with rows `c_row` apart.
pub(crate) fn gemm(
    (m, n, k): (usize, usize, usize),
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: &mut [f32],
    c_row: usize,
    accumulate: bool,
) {
    assert!(m == 0 || n == 0 || (m - 1) * c_row + n <= c.len(), "gemm: the result {m}x{n} is out of bounds");
    // SAFETY: the result lies in `c` by the assertion, and `c` is borrowed mutably.
    unsafe { gemm_raw((m, n, k), a, b, c.as_mut_ptr(), c_row, accumulate) };
}

impl SharedSlice {
    /// `c = a b` where `c` `(m, n)` starts at `from` and has rows `c_row` apart; what lies between its rows is not touched.
    ///
    /// # Safety
    /// As [`SharedSlice::slice_mut`], for the `n` values of each of the `m` rows.
    pub(crate) unsafe fn gemm(
        &self,
        (m, n, k): (usize, usize, usize),
        a: Matrix<'_>,
        b: Matrix<'_>,
        from: usize,
        c_row: usize,
    ) {
        if m * n > 0 {
            // SAFETY: `rows` checks the bounds; disjoint and alive by the caller's promise.
            unsafe { gemm_raw((m, n, k), a, b, self.rows(from, (m, c_row, n)), c_row, false) };
        }
    }
}

/// # Safety
/// `c` points to `m` rows of `n` writable values, `c_row` apart, that overlap neither `a` nor `b`.
unsafe fn gemm_raw(
    (m, n, k): (usize, usize, usize),
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: *mut f32,
    c_row: usize,
    accumulate: bool,
) {
    assert!(a.reaches(m, k) && b.reaches(k, n) && c_row >= n, "gemm: {m}x{k} by {k}x{n} out of bounds");
    // SAFETY: `a` and `b` lie in their slices by the assertion, `c` is the caller's promise.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c,
            1,
            c_row as isize,
            accumulate,
            a.values.as_ptr(),
            a.col as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.col as isize,
            b.row as isize,
            if accumulate { 1. } else { 0. },
            1.,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
