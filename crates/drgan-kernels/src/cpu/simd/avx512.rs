//! AVX-512: sixteen values, thirty-two registers.
use super::kernel::Kernel;
use super::register::{Dots, Simd, TapLoop, Tile};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(super) struct Avx512;

/// Whether the machine has the instructions of [`run`].
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("fma")
}

/// # Safety
/// The machine has AVX-512 F, DQ, VL and BW, and FMA.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,fma")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller's promise.
    unsafe { kernel.run::<Avx512>() }
}

/// Four registers as 4x4 blocks, one in each quarter, transposed within the quarters.
///
/// # Safety
/// The machine has AVX-512F.
#[inline(always)]
unsafe fn transpose_quarters(v: [__m512; 4]) -> [__m512; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let (a, b) = (_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
        let (c, d) = (_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
        [
            _mm512_shuffle_ps::<0x44>(a, c),
            _mm512_shuffle_ps::<0xEE>(a, c),
            _mm512_shuffle_ps::<0x44>(b, d),
            _mm512_shuffle_ps::<0xEE>(b, d),
        ]
    }
}

/// Value `t` at place `t % 4 * 4 + t / 4`; its own reverse.
///
/// # Safety
/// The machine has AVX-512F.
#[inline(always)]
unsafe fn regroup(v: __m512) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe {
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_ps(order, v)
    }
}

// SAFETY of all blocks below: `Simd`'s contract, that the machine has AVX-512 and that pointers are valid.
impl Simd for Avx512 {
    const LANES: usize = 16;
    const ROWS: usize = 8;
    const COLS: usize = 32;
    const TAP_ROWS: usize = 6;
    const TAP_COLS: usize = 64;
    const DOT4_ROWS: usize = 6;
    const DOT9_ROWS: usize = 3;
    type V = __m512;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        unsafe { _mm512_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        unsafe { _mm512_storeu_ps(p, v) }
    }

    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn split2(p: *const f32) -> [Self::V; 2] {
        unsafe {
            let (a, b) = (Self::load(p), Self::load(p.add(16)));
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            [_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b)]
        }
    }

    #[inline(always)]
    unsafe fn split4(p: *const f32) -> [Self::V; 4] {
        unsafe {
            let v = [Self::load(p), Self::load(p.add(16)), Self::load(p.add(32)), Self::load(p.add(48))];
            let [a, b, c, d] = transpose_quarters(v);
            [regroup(a), regroup(b), regroup(c), regroup(d)]
        }
    }

    #[inline(always)]
    unsafe fn join2(v: [Self::V; 2], p: *mut f32) {
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            Self::store(p, _mm512_permutex2var_ps(v[0], low, v[1]));
            Self::store(p.add(16), _mm512_permutex2var_ps(v[0], high, v[1]));
        }
    }

    #[inline(always)]
    unsafe fn join4(v: [Self::V; 4], p: *mut f32) {
        unsafe {
            let rows = transpose_quarters([regroup(v[0]), regroup(v[1]), regroup(v[2]), regroup(v[3])]);
            for (i, row) in rows.into_iter().enumerate() {
                Self::store(p.add(16 * i), row);
            }
        }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        unsafe {
            let mut quarters = [[Self::zero(); 4]; 4];
            for (q, quarter) in quarters.iter_mut().enumerate() {
                let row = |i: usize| Self::load(from.add((4 * q + i) * from_row));
                *quarter = transpose_quarters([row(0), row(1), row(2), row(3)]);
            }
            // Column `i` of block row `q` lies in quarter `c` of `quarters[q][i]`, for columns `4 c + i`.
            let [first, second, third, fourth] = quarters;
            let columns = first.into_iter().zip(second).zip(third).zip(fourth);
            for (i, (((a, b), c), d)) in columns.enumerate() {
                let (ab, cd) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(c, d));
                Self::store(to.add(i * to_row), _mm512_shuffle_f32x4::<0x88>(ab, cd));
                Self::store(to.add((4 + i) * to_row), _mm512_shuffle_f32x4::<0xDD>(ab, cd));
                let (ab, cd) = (_mm512_shuffle_f32x4::<0xEE>(a, b), _mm512_shuffle_f32x4::<0xEE>(c, d));
                Self::store(to.add((8 + i) * to_row), _mm512_shuffle_f32x4::<0x88>(ab, cd));
                Self::store(to.add((12 + i) * to_row), _mm512_shuffle_f32x4::<0xDD>(ab, cd));
            }
        }
    }

    #[inline(always)]
    unsafe fn tile(tile: Tile) {
        unsafe { tile.compute::<Self, 8, 2>() }
    }

    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        unsafe { _mm512_reduce_add_ps(v) }
    }

    #[inline(always)]
    unsafe fn taps(taps: TapLoop<'_>) {
        unsafe { taps.compute::<Self, 6, 4>() }
    }

    #[inline(always)]
    unsafe fn dot4(products: Dots<'_>) {
        unsafe { products.compute::<Self, 6, 4>() }
    }

    #[inline(always)]
    unsafe fn dot9(products: Dots<'_>) {
        unsafe { products.compute::<Self, 3, 9>() }
    }
}
