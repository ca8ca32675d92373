//! From sums to the f32 result (B, O, H, W): shift, activation, transposition, residual.
use super::lanes::{sigmoid, transpose};
use super::plan::Segment;
use super::products::{SIDE, SumTile};
use crate::ops::activation::kind::Activation;
use crate::ops::activation::scalar;
use std::arch::x86_64::*;

/// The result that tasks write disjoint pixels of, and the map that is added to it.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) y: *mut f32,
    /// The map that is added to the result; null if there is none.
    pub(super) residual: *const f32,
    /// Values of one channel of an image.
    pub(super) area: usize,
}

// SAFETY: `y` and `residual` outlive the tasks (see `forward`), which write disjoint pixels.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// Shifts of a tile of output channels.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Shift(pub(super) [f32; SIDE]);

/// Sums of one tile of pixels after the activation, by channel: lanes are pixels. A gated linear unit takes two tiles of channels;
/// others leave the second alone.
#[inline]
#[target_feature(enable = "avx512f")]
fn activated(sums: [&SumTile; 2], shift: [&Shift; 2], act: Activation) -> [__m512i; SIDE] {
    let shifted = |half: usize, pixel: usize| {
        // SAFETY (both): 16 values each.
        let sum = unsafe { _mm512_loadu_ps(sums[half][pixel].as_ptr()) };
        _mm512_add_ps(sum, unsafe { _mm512_load_ps(shift[half].0.as_ptr()) })
    };
    let mut rows = [_mm512_setzero_si512(); SIDE];
    if act == Activation::Glu {
        for (pixel, row) in rows.iter_mut().enumerate() {
            *row = _mm512_castps_si512(_mm512_mul_ps(shifted(0, pixel), sigmoid(shifted(1, pixel))));
        }
    } else {
        let (mut z, mut y) = ([[0f32; SIDE]; SIDE], [[0f32; SIDE]; SIDE]);
        for (pixel, z) in z.iter_mut().enumerate() {
            // SAFETY: 16 values.
            unsafe { _mm512_storeu_ps(z.as_mut_ptr(), shifted(0, pixel)) };
        }
        // The whole tile at once: row by row, the choice of the activation would stand inside the loop, and no vector come of it.
        scalar::activate(act, z.as_flattened().iter().copied(), y.as_flattened_mut());
        for (row, y) in rows.iter_mut().zip(&y) {
            // SAFETY: 16 values.
            *row = _mm512_castps_si512(unsafe { _mm512_loadu_ps(y.as_ptr()) });
        }
    }
    transpose(rows)
}

/// Finishes one tile of pixels and writes `count` channels of it, from `first` on.
///
/// # Safety
/// AVX-512F; `first .. + count` are channels of the target, and the segments' pixels lie in it and are nobody else's.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn store(
    target: Target,
    (first, count): (usize, usize),
    segments: &[Segment],
    sums: [&SumTile; 2],
    shift: [&Shift; 2],
    act: Activation,
) {
    let channels = activated(sums, shift, act);
    for segment in segments {
        for (c, values) in channels.iter().enumerate().take(count) {
            let to = segment.to + ((first + c) * target.area) as isize;
            // SAFETY: the caller's promise.
            unsafe { put(target, to, segment.lanes, _mm512_castsi512_ps(*values)) };
        }
    }
}

/// [`store`] for upsampled maps: `sums[px]` are of the result's even and odd columns.
///
/// # Safety
/// As for [`store`].
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn store_upsampled(
    target: Target,
    (first, count): (usize, usize),
    segments: &[Segment],
    sums: [[&SumTile; 2]; 2],
    shift: [&Shift; 2],
    act: Activation,
) {
    let even = activated(sums[0], shift, act);
    let odd = activated(sums[1], shift, act);
    let low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    for segment in segments {
        for c in 0..count {
            let to = segment.to + ((first + c) * target.area) as isize;
            for (half, order) in [low, high].into_iter().enumerate() {
                let values = _mm512_permutex2var_epi32(even[c], order, odd[c]);
                let to = to + (half * SIDE) as isize;
                // SAFETY: the caller's promise.
                unsafe { put(target, to, segment.upsampled[half], _mm512_castsi512_ps(values)) };
            }
        }
    }
}

/// # Safety
/// AVX-512F; `to + lane` is inside the target for every lane of `lanes`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn put(target: Target, to: isize, lanes: u16, mut values: __m512) {
    // SAFETY: the caller's promise; other lanes are not touched.
    unsafe {
        if !target.residual.is_null() {
            let residual = _mm512_maskz_loadu_ps(lanes, target.residual.wrapping_offset(to));
            values = _mm512_add_ps(values, residual);
        }
        _mm512_mask_storeu_ps(target.y.wrapping_offset(to), lanes, values);
    }
}
