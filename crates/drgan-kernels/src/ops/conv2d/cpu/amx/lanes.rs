//! Vector pieces that loading and storing share.
use std::arch::x86_64::*;

/// Turns 16 rows of 16 values into 16 columns.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transpose(r: [__m512i; 16]) -> [__m512i; 16] {
    let mut t = [_mm512_setzero_si512(); 16];
    let mut u = t;
    for i in (0..16).step_by(2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    // `u[4 g + j]`: in each quarter of the register, column `4 quarter + j` of rows `4 g .. 4 g + 4`.
    for g in (0..16).step_by(4) {
        u[g] = _mm512_unpacklo_epi64(t[g], t[g + 2]);
        u[g + 1] = _mm512_unpackhi_epi64(t[g], t[g + 2]);
        u[g + 2] = _mm512_unpacklo_epi64(t[g + 1], t[g + 3]);
        u[g + 3] = _mm512_unpackhi_epi64(t[g + 1], t[g + 3]);
    }
    for j in 0..4 {
        let even = |a, b| _mm512_shuffle_i32x4::<0x88>(a, b);
        let odd = |a, b| _mm512_shuffle_i32x4::<0xdd>(a, b);
        let (top, bottom) = (even(u[j], u[j + 4]), even(u[j + 8], u[j + 12]));
        t[j] = even(top, bottom);
        t[j + 8] = odd(top, bottom);
        let (top, bottom) = (odd(u[j], u[j + 4]), odd(u[j + 8], u[j + 12]));
        t[j + 4] = even(top, bottom);
        t[j + 12] = odd(top, bottom);
    }
    t
}

/// `1 / (1 + exp(-x))`, to about two units in the last place: [`sigmoid`](crate::cpu::exp::sigmoid) with fused products.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn sigmoid(x: __m512) -> __m512 {
    let one = _mm512_set1_ps(1.);
    // The order of operands keeps NaN. Below the lower limit, exp(-x) is infinite and the sigmoid 0.
    let x = _mm512_min_ps(_mm512_set1_ps(88.), _mm512_max_ps(_mm512_set1_ps(-90.), x));
    // exp(-x) = 2^n exp(r), |r| <= ln(2) / 2.
    let n = _mm512_roundscale_ps::<8>(_mm512_mul_ps(x, _mm512_set1_ps(-std::f32::consts::LOG2_E)));
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693_359_4), _mm512_sub_ps(_mm512_setzero_ps(), x));
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.121_944_4e-4), r);
    let mut p = _mm512_set1_ps(1. / 720.);
    for c in [1. / 120., 1. / 24., 1. / 6., 0.5, 1., 1.] {
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
    }
    _mm512_div_ps(one, _mm512_add_ps(one, _mm512_scalef_ps(p, n)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::exp;

    #[target_feature(enable = "avx512f")]
    fn sigmoids(x: [f32; 16]) -> [f32; 16] {
        let mut y = [0f32; 16];
        // SAFETY: both arrays have 16 values.
        unsafe { _mm512_storeu_ps(y.as_mut_ptr(), sigmoid(_mm512_loadu_ps(x.as_ptr()))) };
        y
    }

    #[test]
    fn the_sigmoid_is_that_of_all_other_paths() {
        if !is_x86_feature_detected!("avx512f") {
            return;
        }
        for i in 0..200 {
            let x = std::array::from_fn(|lane| (16 * i + lane) as f32 * 0.06 - 96.);
            // SAFETY: the machine has the instructions.
            for (x, got) in x.into_iter().zip(unsafe { sigmoids(x) }) {
                let want = exp::sigmoid(x);
                assert!((got - want).abs() <= 1e-6 * want + 1e-37, "sigmoid({x}): {got} for {want}");
            }
        }
        let special = [f32::NEG_INFINITY, f32::INFINITY, f32::MIN, f32::MAX, f32::NAN];
        let x = std::array::from_fn(|lane| special[lane % special.len()]);
        // SAFETY: as above.
        let y = unsafe { sigmoids(x) };
        assert_eq!(y[..4], [0., 1., 0., 1.]);
        assert!(y[4].is_nan());
    }
}
