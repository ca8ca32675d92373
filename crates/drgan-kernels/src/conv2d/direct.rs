//! Stride-1 convolution on AVX-512 without patches.
//!
//! A picture is copied once, with its padding, into planes of row length `wp`; seen as one long row, output pixel `p` of
//! tap `(u, v)` reads input `p + u wp + v`, always contiguous. Columns between `ow` and `wp` compute values that nobody
//! reads. A convolution is thus a list of *terms* `(offset, weight)`: `y[p] += weight x[p + offset]`, and a tile of
//! outputs and pixels stays in registers while the terms go by. The doubled convolution of an up-block is four such
//! lists of a quarter of the size, one for each parity of row and column (its *phases*); so is its gradient.
use std::arch::x86_64::*;

/// Values of one register.
pub(crate) const LANES: usize = 16;
/// Registers of pixels in a tile, and output channels.
const WIDE: usize = 4;
pub(crate) const TILE: usize = LANES * WIDE;
const HIGH: usize = 6;

/// Whether the machine has what these functions need.
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
}

/// Weights by blocks of output channels: block, term, channel; zero where there is no such channel.
pub(crate) struct Packed {
    values: Vec<f32>,
    terms: usize,
    outputs: usize,
}

impl Packed {
    /// `weight(output, term)`.
    pub(crate) fn new(outputs: usize, terms: usize, weight: impl Fn(usize, usize) -> f32) -> Self {
        let mut values = vec![0f32; outputs.div_ceil(HIGH) * HIGH * terms];
        for o in 0..outputs {
            let block = &mut values[o / HIGH * HIGH * terms..];
            for t in 0..terms {
                block[t * HIGH + o % HIGH] = weight(o, t);
            }
        }
        Self { values, terms, outputs }
    }
}

/// `y[o][p] = sum_t weight(o, t) x[offsets[t] + p]` for `p` in `0..n` rounded up to [`TILE`]; rows of `y` are `y_row` apart.
///
/// Panics if a read or write would leave its slice.
pub(crate) fn correlate(
    x: &[f32],
    offsets: &[usize],
    weights: &Packed,
    n: usize,
    y: &mut [f32],
    y_row: usize,
) {
    let n = n.next_multiple_of(TILE);
    let furthest = offsets.iter().max().copied().unwrap_or(0);
    assert!(offsets.len() == weights.terms && furthest + n <= x.len(), "correlate: terms leave the input");
    assert!(
        y_row >= n && (weights.outputs.max(1) - 1) * y_row + n <= y.len(),
        "correlate: the output is too small"
    );
    assert!(available(), "correlate: needs AVX-512");
    for p in (0..n).step_by(TILE) {
        for (block, w) in weights.values.chunks_exact((weights.terms * HIGH).max(1)).enumerate() {
            let outputs = HIGH.min(weights.outputs - block * HIGH);
            // SAFETY: AVX-512 is there; by the assertions above, all reads `p + offset .. + TILE` lie in `x`, and rows
            // `block HIGH .. + outputs` of `TILE` values from `p` lie in `y`.
            unsafe {
                tile(
                    x.as_ptr().add(p),
                    offsets,
                    w,
                    y.as_mut_ptr().add(block * HIGH * y_row + p),
                    y_row,
                    outputs,
                )
            };
        }
    }
}

/// # Safety
/// AVX-512F; `x + offset .. + TILE` readable for every offset; `y + i y_row .. + TILE` writable for `i < outputs <= HIGH`;
/// `w` holds `HIGH` values a term.
#[target_feature(enable = "avx512f")]
unsafe fn tile(x: *const f32, offsets: &[usize], w: &[f32], y: *mut f32, y_row: usize, outputs: usize) {
    let mut sums = [[_mm512_setzero_ps(); WIDE]; HIGH];
    for (&offset, w) in offsets.iter().zip(w.chunks_exact(HIGH)) {
        // SAFETY: the caller's promise.
        let v: [__m512; WIDE] =
            std::array::from_fn(|i| unsafe { _mm512_loadu_ps(x.add(offset + i * LANES)) });
        for (sums, w) in sums.iter_mut().zip(w) {
            let w = _mm512_set1_ps(*w);
            for (s, v) in sums.iter_mut().zip(v) {
                *s = _mm512_fmadd_ps(v, w, *s);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate().take(outputs) {
        for (j, s) in sums.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_ps(y.add(i * y_row + j * LANES), *s) };
        }
    }
}

/// `sums[i][t] = sum_{b, p} dy[b][i][p] x[b][p + offsets[t]]` over `p` in `0..n`, `n` a multiple of [`LANES`]: a block of the
/// weight's gradient. `dy(b, i)` and `x(b)` are where the rows start.
///
/// Panics if a read would leave its slice.
pub(crate) fn products<const I: usize, const T: usize>(
    batch: usize,
    n: usize,
    dy: (&[f32], &dyn Fn(usize, usize) -> usize),
    x: (&[f32], &dyn Fn(usize) -> usize),
    offsets: &[usize; T],
) -> [[f32; T]; I] {
    assert!(available() && n.is_multiple_of(LANES), "products: needs AVX-512 and whole registers");
    let furthest = offsets.iter().max().copied().unwrap_or(0);
    let mut starts = Vec::with_capacity(batch);
    for b in 0..batch {
        let rows: [usize; I] = std::array::from_fn(|i| dy.1(b, i));
        let from = x.1(b);
        assert!(
            rows.iter().all(|r| r + n <= dy.0.len()) && from + furthest + n <= x.0.len(),
            "products: out of bounds"
        );
        starts.push((rows.map(|r| &dy.0[r..r + n]), &x.0[from..from + furthest + n]));
    }
    // SAFETY: AVX-512 is there, and every slice has the length that `block` relies on.
    unsafe { block(n, &starts, offsets) }
}

/// # Safety
/// AVX-512F; of every pair, the rows hold `n` values and the input the furthest offset more.
#[target_feature(enable = "avx512f")]
unsafe fn block<const I: usize, const T: usize>(
    n: usize,
    pairs: &[([&[f32]; I], &[f32])],
    offsets: &[usize; T],
) -> [[f32; T]; I] {
    let mut sums = [[_mm512_setzero_ps(); T]; I];
    for (rows, x) in pairs {
        for p in (0..n).step_by(LANES) {
            // SAFETY (both): the caller's promise.
            let dy: [__m512; I] =
                std::array::from_fn(|i| unsafe { _mm512_loadu_ps(rows[i].as_ptr().add(p)) });
            for t in 0..T {
                let x = unsafe { _mm512_loadu_ps(x.as_ptr().add(p + offsets[t])) };
                for i in 0..I {
                    sums[i][t] = _mm512_fmadd_ps(dy[i], x, sums[i][t]);
                }
            }
        }
    }
    sums.map(|row| row.map(|s| _mm512_reduce_add_ps(s)))
}
