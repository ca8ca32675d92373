//! A result that many threads write at once, each its own part.

/// A mutable slice that threads write disjoint parts of.
#[derive(Clone, Copy)]
pub(crate) struct SharedSlice {
    start: *mut f32,
    len: usize,
}

// SAFETY: the pointer comes from a live `&mut [f32]`, and `slice_mut` hands out ranges that the caller keeps disjoint.
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
    /// The slice that this was made of outlives the result, and no two live results overlap.
    #[allow(clippy::mut_from_ref, reason = "parts are disjoint by contract")]
    pub(crate) unsafe fn slice_mut(&self, from: usize, len: usize) -> &mut [f32] {
        assert!(from + len <= self.len, "part {from}..{} of {}", from + len, self.len);
        // SAFETY: in bounds by the assertion, disjoint and alive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }

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
