//! Four values at a time in plain Rust, which compilers turn into what the target's baseline has (SSE2, NEON).
use super::register::{Dots, Simd, TapLoop, Tile};

#[derive(Clone, Copy)]
pub(super) struct Portable;

const LANES: usize = 4;

impl Simd for Portable {
    const LANES: usize = LANES;
    const ROWS: usize = 4;
    const COLS: usize = 2 * LANES;
    const TAP_ROWS: usize = 4;
    const TAP_COLS: usize = 2 * LANES;
    const DOT4_ROWS: usize = 2;
    const DOT9_ROWS: usize = 1;
    type V = [f32; LANES];

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        [0.; LANES]
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; LANES]
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: the caller's promise; f32 arrays have the alignment of f32.
        unsafe { *p.cast() }
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: as for `load`.
        unsafe { *p.cast() = v }
    }

    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    unsafe fn split2(p: *const f32) -> [Self::V; 2] {
        // SAFETY: reads 2 LANES values, as promised.
        std::array::from_fn(|k| std::array::from_fn(|t| unsafe { *p.add(2 * t + k) }))
    }

    #[inline(always)]
    unsafe fn split4(p: *const f32) -> [Self::V; 4] {
        // SAFETY: reads 4 LANES values, as promised.
        std::array::from_fn(|k| std::array::from_fn(|t| unsafe { *p.add(4 * t + k) }))
    }

    #[inline(always)]
    unsafe fn join2(v: [Self::V; 2], p: *mut f32) {
        for (i, value) in (0..2 * LANES).map(|i| (i, v[i % 2][i / 2])) {
            // SAFETY: writes 2 LANES values, as promised.
            unsafe { *p.add(i) = value };
        }
    }

    #[inline(always)]
    unsafe fn join4(v: [Self::V; 4], p: *mut f32) {
        for (i, value) in (0..4 * LANES).map(|i| (i, v[i % 4][i / 4])) {
            // SAFETY: writes 4 LANES values, as promised.
            unsafe { *p.add(i) = value };
        }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        for (i, j) in (0..LANES * LANES).map(|i| (i / LANES, i % LANES)) {
            // SAFETY: LANES rows of LANES values on both sides, as promised.
            unsafe { *to.add(j * to_row + i) = *from.add(i * from_row + j) };
        }
    }

    #[inline(always)]
    unsafe fn tile(tile: Tile) {
        // SAFETY: the caller's promise.
        unsafe { tile.compute::<Self, 4, 2>() }
    }

    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        v.iter().sum()
    }

    #[inline(always)]
    unsafe fn taps(taps: TapLoop<'_>) {
        unsafe { taps.compute::<Self, 4, 2>() }
    }

    #[inline(always)]
    unsafe fn dot4(products: Dots<'_>) {
        unsafe { products.compute::<Self, 2, 4>() }
    }

    #[inline(always)]
    unsafe fn dot9(products: Dots<'_>) {
        unsafe { products.compute::<Self, 1, 9>() }
    }
}
