//! AVX2 and FMA: eight values, sixteen registers.
use super::kernel::Kernel;
use super::register::{Dots, Simd, TapLoop, Tile};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(super) struct Avx2;

/// Whether the machine has the instructions of [`run`].
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// # Safety
/// The machine has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller's promise.
    unsafe { kernel.run::<Avx2>() }
}

/// Four registers as 4x4 blocks, one in each half, transposed within the halves.
///
/// # Safety
/// The machine has AVX2.
#[inline(always)]
unsafe fn transpose_halves(v: [__m256; 4]) -> [__m256; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let (a, b) = (_mm256_unpacklo_ps(v[0], v[1]), _mm256_unpackhi_ps(v[0], v[1]));
        let (c, d) = (_mm256_unpacklo_ps(v[2], v[3]), _mm256_unpackhi_ps(v[2], v[3]));
        [
            _mm256_shuffle_ps::<0x44>(a, c),
            _mm256_shuffle_ps::<0xEE>(a, c),
            _mm256_shuffle_ps::<0x44>(b, d),
            _mm256_shuffle_ps::<0xEE>(b, d),
        ]
    }
}

// SAFETY of all blocks below: `Simd`'s contract, that the machine has AVX2 and FMA and that pointers are valid.
impl Simd for Avx2 {
    const LANES: usize = 8;
    const ROWS: usize = 4;
    const COLS: usize = 24;
    const TAP_ROWS: usize = 4;
    const TAP_COLS: usize = 24;
    const DOT4_ROWS: usize = 3;
    const DOT9_ROWS: usize = 1;
    type V = __m256;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        unsafe { _mm256_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        unsafe { _mm256_storeu_ps(p, v) }
    }

    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn split2(p: *const f32) -> [Self::V; 2] {
        unsafe {
            let (a, b) = (Self::load(p), Self::load(p.add(8)));
            let ordered =
                |v: __m256| _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(v)));
            [ordered(_mm256_shuffle_ps::<0x88>(a, b)), ordered(_mm256_shuffle_ps::<0xDD>(a, b))]
        }
    }

    #[inline(always)]
    unsafe fn split4(p: *const f32) -> [Self::V; 4] {
        unsafe {
            let v = [Self::load(p), Self::load(p.add(8)), Self::load(p.add(16)), Self::load(p.add(24))];
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            let [a, b, c, d] = transpose_halves(v);
            let ordered = |v| _mm256_permutevar8x32_ps(v, order);
            [ordered(a), ordered(b), ordered(c), ordered(d)]
        }
    }

    #[inline(always)]
    unsafe fn join2(v: [Self::V; 2], p: *mut f32) {
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(v[0], v[1]), _mm256_unpackhi_ps(v[0], v[1]));
            Self::store(p, _mm256_permute2f128_ps::<0x20>(low, high));
            Self::store(p.add(8), _mm256_permute2f128_ps::<0x31>(low, high));
        }
    }

    #[inline(always)]
    unsafe fn join4(v: [Self::V; 4], p: *mut f32) {
        unsafe {
            let order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
            let halves = |v| _mm256_permutevar8x32_ps(v, order);
            let rows = transpose_halves([halves(v[0]), halves(v[1]), halves(v[2]), halves(v[3])]);
            for (i, row) in rows.into_iter().enumerate() {
                Self::store(p.add(8 * i), row);
            }
        }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        unsafe {
            let row = |i: usize| Self::load(from.add(i * from_row));
            let top = transpose_halves([row(0), row(1), row(2), row(3)]);
            let bottom = transpose_halves([row(4), row(5), row(6), row(7)]);
            for (i, (t, b)) in top.into_iter().zip(bottom).enumerate() {
                Self::store(to.add(i * to_row), _mm256_permute2f128_ps::<0x20>(t, b));
                Self::store(to.add((i + 4) * to_row), _mm256_permute2f128_ps::<0x31>(t, b));
            }
        }
    }

    #[inline(always)]
    unsafe fn tile(tile: Tile) {
        unsafe { tile.compute::<Self, 4, 3>() }
    }

    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    unsafe fn taps(taps: TapLoop<'_>) {
        unsafe { taps.compute::<Self, 4, 3>() }
    }

    #[inline(always)]
    unsafe fn dot4(products: Dots<'_>) {
        unsafe { products.compute::<Self, 3, 4>() }
    }

    #[inline(always)]
    unsafe fn dot9(products: Dots<'_>) {
        unsafe { products.compute::<Self, 1, 9>() }
    }
}
