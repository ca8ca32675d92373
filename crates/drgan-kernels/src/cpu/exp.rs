//! The exponential function and the sigmoid, without branches, so that loops over them vectorize.

/// `e^x` to 2 units in the last place, by `2^n p(r)` with `x = n ln 2 + r`. NaN stays; above 88.38 it is infinite, below
/// -87.3 the smallest normal number.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.; // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    // At the upper limit the power's bits are those of infinity.
    let x = x.clamp(-87.3, 89.);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + c;
    }
    let p = p * r * r + r + 1.;
    let power = f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    p * power
}

/// `1 / (1 + e^-x)`: 0 at minus infinity, 1 at infinity; NaN stays.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1. / (1. + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_to_a_few_units_in_the_last_place() {
        for i in -8700..8800 {
            let x = i as f32 * 0.01;
            let want = f64::from(x).exp();
            assert!((f64::from(exp(x)) - want).abs() <= 4e-7 * want, "exp({x}): {} for {want}", exp(x));
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_sigmoid_is_symmetric_and_ends_at_0_and_1() {
        for i in 0..1000 {
            let x = i as f32 * 0.1;
            let want = 1. / (1. + (-f64::from(x)).exp());
            assert!((f64::from(sigmoid(x)) - want).abs() < 2e-7, "sigmoid({x}): {} for {want}", sigmoid(x));
            assert!((sigmoid(-x) - (1. - sigmoid(x))).abs() < 2e-7, "sigmoid(-{x})");
        }
        assert_eq!((sigmoid(f32::NEG_INFINITY), sigmoid(f32::INFINITY)), (0., 1.));
        assert_eq!((sigmoid(f32::MIN), sigmoid(f32::MAX)), (0., 1.));
        assert!(sigmoid(f32::NAN).is_nan());
    }
}
