//! The two inner loops of a direct convolution: shifted copies of a row, weighed and summed, and products of rows with them.
use super::Simd;

/// One tap: where its values start in the input, and its weight among a row's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    pub(crate) x: usize,
    pub(crate) w: usize,
}

/// `y[i][p] = sum_t w[i w_row + w_t] x[p + x_t]` for a block of rows and a tile of positions, in registers.
#[derive(Clone, Copy)]
pub(crate) struct TapLoop<'a> {
    pub(crate) taps: &'a [Tap],
    pub(crate) x: *const f32,
    pub(crate) w: *const f32,
    pub(crate) w_row: usize,
    pub(crate) y: *mut f32,
    pub(crate) y_row: usize,
    /// Rows there are: 1 up to [`Simd::TAP_ROWS`].
    pub(crate) rows: usize,
}

impl TapLoop<'_> {
    /// For `M` rows and `N` registers of positions.
    ///
    /// # Safety
    /// As [`Simd`]: for every term, `N LANES` values are at `x + x_t` and one at `w + i w_row + w_t` for each of the `rows`,
    /// which `N LANES` values at `y + i y_row` may be written for.
    #[inline(always)]
    pub(crate) unsafe fn compute<S: Simd, const M: usize, const N: usize>(self) {
        let Self { taps, x, w, w_row, y, y_row, rows } = self;
        // SAFETY: the caller's promise, for every pointer below; rows behind the last are the last once more.
        unsafe {
            let mut sums = [[S::zero(); N]; M];
            let mut weights = [w; M];
            for (i, row) in weights.iter_mut().enumerate() {
                *row = w.add(i.min(rows - 1) * w_row);
            }
            for tap in taps {
                let mut shifted = [S::zero(); N];
                for (j, v) in shifted.iter_mut().enumerate() {
                    *v = S::load(x.add(tap.x + j * S::LANES));
                }
                for (sums, row) in sums.iter_mut().zip(weights) {
                    let weight = S::splat(*row.add(tap.w));
                    for (sum, v) in sums.iter_mut().zip(shifted) {
                        *sum = S::fma(weight, v, *sum);
                    }
                }
            }
            for (i, sums) in sums.iter().enumerate().take(rows) {
                for (j, sum) in sums.iter().enumerate() {
                    S::store(y.add(i * y_row + j * S::LANES), *sum);
                }
            }
        }
    }
}

/// `out[i out_row + to_t] += sum_p a[i a_row + p] x[p + x_t]` over `p` in `0..n`, `n` whole registers.
#[derive(Clone, Copy)]
pub(crate) struct Dots<'a> {
    pub(crate) n: usize,
    pub(crate) a: *const f32,
    pub(crate) a_row: usize,
    pub(crate) x: *const f32,
    /// `w` is the place in a row of `out`.
    pub(crate) taps: &'a [Tap],
    pub(crate) out: *mut f32,
    pub(crate) out_row: usize,
    /// Rows there are, at least 1, at most what the caller asks for by its const parameter.
    pub(crate) rows: usize,
}

impl Dots<'_> {
    /// For `I` rows and `T` taps.
    ///
    /// # Safety
    /// As [`Simd`]: there are `T` taps; `n` values are at `a + i a_row` for each of the `rows`, and at `x + x_t` for every
    /// term; `out + i out_row + w_t` may be written.
    #[inline(always)]
    pub(super) unsafe fn compute<S: Simd, const I: usize, const T: usize>(self) {
        let Self { n, a, a_row, x, taps, out, out_row, rows } = self;
        // SAFETY: the caller's promise, for every pointer below; rows behind the last are the last once more.
        unsafe {
            let mut sums = [[S::zero(); T]; I];
            let (mut left, mut right) = ([a; I], [x; T]);
            for (i, row) in left.iter_mut().enumerate() {
                *row = a.add(i.min(rows - 1) * a_row);
            }
            for (from, tap) in right.iter_mut().zip(taps) {
                *from = x.add(tap.x);
            }
            for p in (0..n).step_by(S::LANES) {
                let mut values = [S::zero(); I];
                for (v, row) in values.iter_mut().zip(left) {
                    *v = S::load(row.add(p));
                }
                for (t, from) in right.into_iter().enumerate() {
                    let shifted = S::load(from.add(p));
                    for (sums, v) in sums.iter_mut().zip(values) {
                        sums[t] = S::fma(v, shifted, sums[t]);
                    }
                }
            }
            for (i, sums) in sums.iter().enumerate().take(rows) {
                for (sum, tap) in sums.iter().zip(taps) {
                    *out.add(i * out_row + tap.w) += S::sum(*sum);
                }
            }
        }
    }
}
