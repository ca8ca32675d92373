//! The one-dimensional halves of the transforms, over registers.
use crate::cpu::simd::Simd;

/// `IN` values to `OUT`, linearly.
pub(super) trait Linear<const IN: usize, const OUT: usize> {
    /// # Safety
    /// As [`Simd`].
    unsafe fn apply<S: Simd>(x: [S::V; IN]) -> [S::V; OUT];
}

/// `f` along columns, then along rows: `IN x IN` values to `OUT x OUT`. `row(i)` gives the columns of row `i`.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(super) unsafe fn both<S: Simd, L: Linear<IN, OUT>, const IN: usize, const OUT: usize>(
    row: impl Fn(usize) -> [S::V; IN],
) -> [[S::V; OUT]; OUT] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut across = [[S::zero(); OUT]; IN];
        for (i, across) in across.iter_mut().enumerate() {
            *across = L::apply::<S>(row(i));
        }
        let mut out = [[S::zero(); OUT]; OUT];
        for j in 0..OUT {
            let mut column = [S::zero(); IN];
            for (c, a) in column.iter_mut().zip(&across) {
                *c = a[j];
            }
            for (out, v) in out.iter_mut().zip(L::apply::<S>(column)) {
                out[j] = v;
            }
        }
        out
    }
}

/// Winograd F(4, 3)'s input transform B^T, for the points 0, 1, -1, 2, -2 and infinity.
pub(super) struct WinogradInput;

impl Linear<6, 6> for WinogradInput {
    #[inline(always)]
    unsafe fn apply<S: Simd>([a, b, c, d, e, f]: [S::V; 6]) -> [S::V; 6] {
        // SAFETY: the caller's promise.
        unsafe {
            let (four, minus_four, minus_five) = (S::splat(4.), S::splat(-4.), S::splat(-5.));
            let (even, odd) = (S::fma(minus_four, c, e), S::fma(minus_four, b, d));
            let (near, far) = (S::sub(e, c), S::sub(d, b));
            let twice = S::add(far, far);
            [
                S::fma(four, a, S::fma(minus_five, c, e)),
                S::add(even, odd),
                S::sub(even, odd),
                S::add(near, twice),
                S::sub(near, twice),
                S::fma(four, b, S::fma(minus_five, d, f)),
            ]
        }
    }
}

/// Winograd F(4, 3)'s output transform A^T.
pub(super) struct WinogradOutput;

impl Linear<6, 4> for WinogradOutput {
    #[inline(always)]
    unsafe fn apply<S: Simd>([a, b, c, d, e, f]: [S::V; 6]) -> [S::V; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            let (sum1, diff1, sum2, diff2) = (S::add(b, c), S::sub(b, c), S::add(d, e), S::sub(d, e));
            [
                S::add(a, S::add(sum1, sum2)),
                S::fma(S::splat(2.), diff2, diff1),
                S::fma(S::splat(4.), sum2, sum1),
                S::add(f, S::fma(S::splat(8.), diff2, diff1)),
            ]
        }
    }
}

/// The transpose of [`WinogradOutput`]: what a gradient of outputs is to the products.
pub(super) struct WinogradOutputGradient;

impl Linear<4, 6> for WinogradOutputGradient {
    #[inline(always)]
    unsafe fn apply<S: Simd>([a, b, c, d]: [S::V; 4]) -> [S::V; 6] {
        // SAFETY: the caller's promise.
        unsafe {
            let (even1, odd1) = (S::add(a, c), S::add(b, d));
            let even2 = S::fma(S::splat(4.), c, a);
            let odd2 = S::fma(S::splat(8.), d, S::add(b, b));
            [a, S::add(even1, odd1), S::sub(even1, odd1), S::add(even2, odd2), S::sub(even2, odd2), d]
        }
    }
}

/// A pixel, what it is above the one before, and what the next is above it.
pub(super) struct UpsampledInput;

impl Linear<3, 3> for UpsampledInput {
    #[inline(always)]
    unsafe fn apply<S: Simd>([before, here, after]: [S::V; 3]) -> [S::V; 3] {
        // SAFETY: the caller's promise.
        unsafe { [here, S::sub(here, before), S::sub(after, here)] }
    }
}

/// The two pixels that become of one.
pub(super) struct UpsampledOutput;

impl Linear<3, 2> for UpsampledOutput {
    #[inline(always)]
    unsafe fn apply<S: Simd>([all, first, last]: [S::V; 3]) -> [S::V; 2] {
        // SAFETY: the caller's promise.
        unsafe { [S::sub(all, first), S::add(all, last)] }
    }
}

/// The transpose of [`UpsampledOutput`].
pub(super) struct UpsampledOutputGradient;

impl Linear<2, 3> for UpsampledOutputGradient {
    #[inline(always)]
    unsafe fn apply<S: Simd>([a, b]: [S::V; 2]) -> [S::V; 3] {
        // SAFETY: the caller's promise.
        unsafe { [S::add(a, b), S::sub(S::zero(), a), b] }
    }
}

/// What each weight's share of a small pixel's gradient reads of the four large pixels around it.
pub(super) struct UpsampledGradientInput;

impl Linear<4, 3> for UpsampledGradientInput {
    #[inline(always)]
    unsafe fn apply<S: Simd>([before, a, b, after]: [S::V; 4]) -> [S::V; 3] {
        // SAFETY: the caller's promise.
        unsafe { [S::add(a, b), S::sub(after, a), S::sub(before, b)] }
    }
}

/// The sum of all products.
pub(super) struct Sum;

impl Linear<3, 1> for Sum {
    #[inline(always)]
    unsafe fn apply<S: Simd>([a, b, c]: [S::V; 3]) -> [S::V; 1] {
        // SAFETY: the caller's promise.
        unsafe { [S::add(a, S::add(b, c))] }
    }
}
