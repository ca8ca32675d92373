//! What every fast path on the CPU shares: reading a storage, writing disjoint parts from many threads, scratch memory.
pub(crate) mod channels;
pub(crate) mod rows;
pub(crate) mod simd;

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Whether `x` is f32 on the CPU: what the fast paths take.
pub(crate) fn is_fast(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == candle_core::DType::F32
}

/// The values of a contiguous f32 storage.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => bail!("a fast path was given a storage that is not contiguous f32"),
    }
}

/// Runs `f` on the values of contiguous f32 CPU tensors.
pub(crate) fn with_values<const N: usize, R>(
    xs: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> Result<R>,
) -> Result<R> {
    let guards = xs.map(|x| x.storage_and_layout());
    let mut slices: [&[f32]; N] = [&[]; N];
    for (s, (storage, layout)) in slices.iter_mut().zip(&guards) {
        *s = match &**storage {
            Storage::Cpu(cpu) => slice(cpu, layout)?,
            _ => bail!("a fast path was given a tensor that is not on the CPU"),
        };
    }
    f(slices)
}

/// A mutable slice that threads write disjoint parts of.
#[derive(Clone, Copy)]
pub(crate) struct SharedSlice {
    start: *mut f32,
    len: usize,
}

// SAFETY: the pointer comes from a live `&mut [f32]`, and `part` hands out ranges that the caller keeps disjoint.
unsafe impl Send for SharedSlice {}
// SAFETY: as above.
unsafe impl Sync for SharedSlice {}

impl SharedSlice {
    pub(crate) fn new(values: &mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len() }
    }

    /// `len` values from `from` on.
    ///
    /// # Safety
    /// The slice that this was made of outlives the result, and no two live parts overlap.
    #[allow(clippy::mut_from_ref, reason = "parts are disjoint by contract")]
    pub(crate) unsafe fn slice_mut(&self, from: usize, len: usize) -> &mut [f32] {
        assert!(from + len <= self.len, "part {from}..{} of {}", from + len, self.len);
        // SAFETY: in bounds by the assertion, disjoint and alive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}

impl SharedSlice {
    /// Where `rows` of `len` values each start, `row` apart, from `from` on: within the slice.
    pub(crate) fn rows(&self, from: usize, (rows, row, len): (usize, usize, usize)) -> *mut f32 {
        assert!(rows > 0 && from + (rows - 1) * row + len <= self.len, "rows leave the slice");
        // SAFETY: in bounds by the assertion.
        unsafe { self.start.add(from) }
    }
}

/// `len` values that `fill` writes: what `vec![0.; len]` followed by writing would give, in one pass less.
///
/// # Safety
/// `fill` writes every value, and reads none that it has not written.
pub(crate) unsafe fn fill_uninit(len: usize, fill: impl FnOnce(SharedSlice)) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    fill(SharedSlice { start: values.as_mut_ptr(), len });
    // SAFETY: there is room for `len` values, and the caller has written all of them.
    unsafe { values.set_len(len) };
    values
}

/// `dst` is every `stride`-th value of `src`.
#[inline(always)]
pub(crate) fn copy_row(src: &[f32], stride: usize, dst: &mut [f32]) {
    match (stride, dst.len()) {
        (_, 0) => (),
        // The rows of small maps: a load and a store in place of a call.
        (1, 2) => dst.copy_from_slice(&src[..2]),
        (1, 4) => dst.copy_from_slice(&src[..4]),
        (1, 8) => dst.copy_from_slice(&src[..8]),
        (1, 16) => dst.copy_from_slice(&src[..16]),
        (1, 32) => dst.copy_from_slice(&src[..32]),
        (1, n) => dst.copy_from_slice(&src[..n]),
        // Whole pairs, which compilers make shuffles of; the last value may have none.
        (2, n) => {
            dst.iter_mut().zip(src.chunks_exact(2)).for_each(|(d, s)| *d = s[0]);
            dst[n - 1] = src[2 * (n - 1)];
        }
        (s, _) => dst.iter_mut().zip(src.iter().step_by(s)).for_each(|(d, v)| *d = *v),
    }
}

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

/// A matrix in memory: where it starts and how far its rows and columns lie apart.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row: usize,
    pub(crate) col: usize,
}

impl<'a> Matrix<'a> {
    pub(crate) fn rows(values: &'a [f32], row: usize) -> Self {
        Self { values, row, col: 1 }
    }

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
        assert!(m == 0 || n == 0 || from + (m - 1) * c_row + n <= self.len, "gemm: out of bounds");
        // SAFETY: in bounds by the assertion, disjoint and alive by the caller's promise.
        unsafe { gemm_raw((m, n, k), a, b, self.start.add(from), c_row, false) };
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
