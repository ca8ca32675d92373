//! A register type and its inner loops: the tile of a matrix product, and the two loops of a direct convolution, which
//! are sums of weighed shifted rows and dot products of rows with shifted rows.

/// One kind of register and what it can do.
///
/// # Safety
/// Of every function: the machine has the instructions; pointers are valid for what is said to be read or written
/// (`LANES` values unless stated).
pub(crate) trait Simd: Copy {
    /// Number of f32 values that a register holds.
    const LANES: usize;
    /// Rows of a product's tile.
    const ROWS: usize;
    /// Columns of a product's tile.
    const COLS: usize;
    /// Rows of [`Simd::taps`].
    const TAP_ROWS: usize;
    /// Positions of [`Simd::taps`].
    const TAP_COLS: usize;
    /// Rows of [`Simd::dot4`].
    const DOT4_ROWS: usize;
    /// Rows of [`Simd::dot9`].
    const DOT9_ROWS: usize;
    type V: Copy;

    unsafe fn zero() -> Self::V;
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Every second of `2 LANES` values, from the first and from the second on.
    unsafe fn split2(p: *const f32) -> [Self::V; 2];
    /// Every fourth of `4 LANES` values, from the first, second, third and fourth on.
    unsafe fn split4(p: *const f32) -> [Self::V; 4];
    /// The reverse of [`Simd::split2`].
    unsafe fn join2(v: [Self::V; 2], p: *mut f32);
    /// The reverse of [`Simd::split4`].
    unsafe fn join4(v: [Self::V; 4], p: *mut f32);
    /// The sum of all lanes.
    unsafe fn sum(v: Self::V) -> f32;
    /// `LANES` rows of `LANES` values, `from_row` apart, to as many columns.
    unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize);

    /// Computes a [`Tile`] of `ROWS` rows and `COLS` columns.
    unsafe fn tile(tile: Tile);
    /// Computes [`TapLoop`] of up to `TAP_ROWS` rows and `TAP_COLS` positions.
    unsafe fn taps(taps: TapLoop<'_>);
    /// Computes [`Dots`] of up to `DOT4_ROWS` rows and 4 taps.
    unsafe fn dot4(products: Dots<'_>);
    /// Computes [`Dots`] of up to `DOT9_ROWS` rows and 9 taps.
    unsafe fn dot9(products: Dots<'_>);
}

/// `c[i][j] = sum_k a[k][i] b[k][j]`, or `+=` with `accumulate`: the part of a matrix product that stays in registers.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    pub(crate) k: usize,
    pub(crate) a: *const f32,
    /// Distance in `a` from one `k` to the next, in values.
    pub(crate) a_step: usize,
    pub(crate) b: *const f32,
    pub(crate) b_step: usize,
    pub(crate) c: *mut f32,
    /// Distance of neighbouring rows of `c`, in values.
    pub(crate) c_row: usize,
    pub(crate) accumulate: bool,
}

impl Tile {
    /// Computes the tile for `M` rows and `N` registers of columns.
    ///
    /// # Safety
    /// As [`Simd`]: `k` steps of `M` and `N LANES` values are at `a` and `b`, `M` rows of `N LANES` at `c`.
    #[inline(always)]
    pub(super) unsafe fn compute<S: Simd, const M: usize, const N: usize>(self) {
        let Self { k, mut a, a_step, mut b, b_step, c, c_row, accumulate } = self;
        // SAFETY: the caller's promise, for every pointer below.
        unsafe {
            let mut sums = [[S::zero(); N]; M];
            for _ in 0..k {
                let mut columns = [S::zero(); N];
                for (j, column) in columns.iter_mut().enumerate() {
                    *column = S::load(b.add(j * S::LANES));
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let row = S::splat(*a.add(i));
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = S::fma(row, column, *sum);
                    }
                }
                a = a.add(a_step);
                b = b.add(b_step);
            }
            for (i, sums) in sums.iter().enumerate() {
                for (j, sum) in sums.iter().enumerate() {
                    let at = c.add(i * c_row + j * S::LANES);
                    S::store(at, if accumulate { S::add(S::load(at), *sum) } else { *sum });
                }
            }
        }
    }
}

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
    /// Number of rows: 1 up to [`Simd::TAP_ROWS`].
    pub(crate) rows: usize,
}

impl TapLoop<'_> {
    /// Computes the sums for `M` rows and `N` registers of positions.
    ///
    /// # Safety
    /// As [`Simd`]: for every term, `N LANES` values are at `x + x_t` and one at `w + i w_row + w_t` for each of the `rows`,
    /// which `N LANES` values at `y + i y_row` may be written for.
    #[inline(always)]
    pub(crate) unsafe fn compute<S: Simd, const M: usize, const N: usize>(self) {
        let Self { taps, x, w, w_row, y, y_row, rows } = self;
        // SAFETY: the caller's promise, for every pointer below; rows after the last are the last once more.
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
    /// The taps; the `w` of each is its place in a row of `out`.
    pub(crate) taps: &'a [Tap],
    pub(crate) out: *mut f32,
    pub(crate) out_row: usize,
    /// Number of rows: at least 1, at most what the caller asks for by its const parameter.
    pub(crate) rows: usize,
}

impl Dots<'_> {
    /// Computes the products of `I` rows with `T` taps.
    ///
    /// # Safety
    /// As [`Simd`]: there are `T` taps; `n` values are at `a + i a_row` for each of the `rows`, and at `x + x_t` for every
    /// term; `out + i out_row + w_t` may be written.
    #[inline(always)]
    pub(super) unsafe fn compute<S: Simd, const I: usize, const T: usize>(self) {
        let Self { n, a, a_row, x, taps, out, out_row, rows } = self;
        // SAFETY: the caller's promise, for every pointer below; rows after the last are the last once more.
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
