//! From f32 maps (B, C, H, W) to the planes of a band.
use super::lanes::transpose;
use super::plan::Plan;
use super::products::{BLOCK, Position};
use crate::ops::conv2d::shape::Panel;
use std::arch::x86_64::*;

const LANES: usize = 16;
const ZERO: Position = Position([0; BLOCK]);

/// Fills `planes`, one after the other, with a band of `x`, which has `channels` channels.
pub(super) fn load(plan: &Plan, band: Panel, x: &[f32], channels: usize, planes: &mut [Position]) {
    assert!(super::unit::available(), "load: needs AVX-512 bf16");
    let (area, height) = (plan.h * plan.w, plan.height(band));
    for (block, plane) in planes.chunks_exact_mut(plan.plane(band)).enumerate() {
        let first = block * BLOCK;
        let count = BLOCK.min(channels - first);
        let (lines, slack) = plane.split_at_mut(band.images * height * plan.pitch);
        slack.fill(ZERO);
        for (i, line) in lines.chunks_exact_mut(plan.pitch).enumerate() {
            let y = band.row + i % height;
            if y < plan.top || y >= plan.top + plan.h {
                line.fill(ZERO);
                continue;
            }
            let image = &x[((band.image + i / height) * channels + first) * area..][..count * area];
            let source = &image[(y - plan.top) * plan.w..];
            let (pad, line) = line.split_at_mut(plan.left);
            pad.fill(ZERO);
            let (line, pad) = line.split_at_mut(plan.w);
            pad.fill(ZERO);
            for (j, positions) in line.chunks_mut(LANES).enumerate() {
                // SAFETY: AVX-512 is there; row `y` of each of the `count` channels, `area` apart, lies in `image`.
                unsafe { pixels(source.as_ptr().add(j * LANES), area, count, positions) };
            }
        }
    }
}

/// # Safety
/// AVX-512F, BW and BF16; `positions.len() <= 16` values readable at `source + c area` for `c < channels`.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pixels(source: *const f32, area: usize, channels: usize, positions: &mut [Position]) {
    let mask = (u32::MAX >> (32 - positions.len())) as u16;
    let read = |c: usize| {
        let mask = if c < channels { mask } else { 0 };
        // SAFETY: the caller's promise; a channel that is not there is not read.
        unsafe { _mm512_maskz_loadu_ps(mask, source.wrapping_add(c * area)) }
    };
    // Lane p: channels 2 k and 2 k + 1 of pixel p.
    #[rustfmt::skip]
    let interleave = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
        23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0,
    );
    let mut pairs = [_mm512_setzero_si512(); LANES];
    for (k, pair) in pairs.iter_mut().enumerate() {
        let rounded = _mm512_cvtne2ps_pbh(read(2 * k + 1), read(2 * k));
        // SAFETY: both types are 512 bits of anything.
        let rounded: __m512i = unsafe { std::mem::transmute(rounded) };
        *pair = _mm512_permutexvar_epi16(interleave, rounded);
    }
    for (position, row) in positions.iter_mut().zip(transpose(pairs)) {
        // SAFETY: a position is 64 aligned bytes.
        unsafe { _mm512_store_si512(position.0.as_mut_ptr().cast(), row) };
    }
}
