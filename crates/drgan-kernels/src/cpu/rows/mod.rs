//! Element-wise work on rows of values, compiled once for each instruction set and chosen at run time.
use crate::ops::activation::Activation;
use crate::ops::adam::AdamStep;

/// Defines `fn name(args)`, whose body runs with AVX-512, AVX2 or the baseline instructions, whichever the machine has.
macro_rules! multiversion {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "rows and their scales, side by side")]
        pub(crate) fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,fma")]
                #[allow(clippy::too_many_arguments, reason = "as above")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "as above")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("fma")
                {
                    // SAFETY: the machine has the instructions, as just found out.
                    return unsafe { avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}

pub(crate) use multiversion;

/// `e^x` to 2 units in the last place, by `2^n p(r)` with `x = n ln 2 + r`; without a branch, so that loops vectorise.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.; // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    let x = x.clamp(-87.3, 88.3);
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

#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1. / (1. + exp(-x))
}

/// `scale x + shift` of one row.
#[derive(Clone, Copy)]
pub(crate) struct Affine {
    pub(crate) scale: f32,
    pub(crate) shift: f32,
}

impl Affine {
    pub(crate) const IDENTITY: Self = Self { scale: 1., shift: 0. };

    #[inline(always)]
    fn at(self, x: f32) -> f32 {
        self.scale * x + self.shift
    }
}

multiversion! {
    /// `y = act(affine(x))` for every activation but the gated one.
    fn activate_row(act: Activation, x: &[f32], by: Affine, y: &mut [f32]) {
        match act {
            Activation::Identity | Activation::Glu => y.iter_mut().zip(x).for_each(|(y, x)| *y = by.at(*x)),
            Activation::Relu => y.iter_mut().zip(x).for_each(|(y, x)| {
                let z = by.at(*x);
                *y = if z < 0. { 0. } else { z };
            }),
            Activation::Relu6 => y.iter_mut().zip(x).for_each(|(y, x)| *y = by.at(*x).clamp(0., 6.)),
            Activation::LeakyRelu(slope) => {
                let slope = slope as f32;
                y.iter_mut().zip(x).for_each(|(y, x)| {
                    let z = by.at(*x);
                    *y = if z > 0. { z } else { slope * z };
                });
            }
        }
    }
}

multiversion! {
    /// `y = affine_a(a) sigmoid(affine_b(b))`.
    fn gate_row(a: &[f32], by_a: Affine, b: &[f32], by_b: Affine, y: &mut [f32]) {
        for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
            *y = by_a.at(*a) * sigmoid(by_b.at(*b));
        }
    }
}

multiversion! {
    /// `dz`, the gradient of `z = affine(x)`, from `dy`, the gradient of `act(z)`.
    fn activate_gradient_row(act: Activation, x: &[f32], by: Affine, dy: &[f32], dz: &mut [f32]) {
        match act {
            Activation::Identity | Activation::Glu => dz.copy_from_slice(dy),
            Activation::Relu => {
                for ((dz, x), dy) in dz.iter_mut().zip(x).zip(dy) {
                    *dz = if by.at(*x) > 0. { *dy } else { 0. };
                }
            }
            Activation::Relu6 => {
                for ((dz, x), dy) in dz.iter_mut().zip(x).zip(dy) {
                    let z = by.at(*x);
                    *dz = if z > 0. && z < 6. { *dy } else { 0. };
                }
            }
            Activation::LeakyRelu(slope) => {
                let slope = slope as f32;
                for ((dz, x), dy) in dz.iter_mut().zip(x).zip(dy) {
                    *dz = if by.at(*x) > 0. { *dy } else { slope * dy };
                }
            }
        }
    }
}

multiversion! {
    /// The gradients of both halves of a gate.
    fn gate_gradient_row(
        a: &[f32],
        by_a: Affine,
        b: &[f32],
        by_b: Affine,
        dy: &[f32],
        da: &mut [f32],
        db: &mut [f32],
    ) {
        for ((((da, db), a), b), dy) in da.iter_mut().zip(db).zip(a).zip(b).zip(dy) {
            let s = sigmoid(by_b.at(*b));
            *da = dy * s;
            *db = dy * by_a.at(*a) * s * (1. - s);
        }
    }
}

/// Values that one f32 accumulator set takes before it is added to the f64 total.
const BLOCK: usize = 1024;
/// Sums side by side: several registers of them, so that additions need not wait for one another.
const LANES: usize = 64;

multiversion! {
    /// `sum (x - from)`.
    fn sum_row(x: &[f32], from: f32) -> f64 {
        let mut total = 0.;
        for block in x.chunks(BLOCK) {
            let mut lanes = [0f32; LANES];
            let whole = block.chunks_exact(LANES);
            let rest: f32 = whole.remainder().iter().map(|v| v - from).sum();
            for chunk in whole {
                for (l, v) in lanes.iter_mut().zip(chunk) {
                    *l += v - from;
                }
            }
            total += f64::from(lanes.iter().sum::<f32>() + rest);
        }
        total
    }
}

multiversion! {
    /// `sum (x - from) g`, which for `g = x - from` is the sum of squares.
    fn product_row(x: &[f32], from: f32, g: &[f32], g_from: f32) -> f64 {
        let mut total = 0.;
        for (block, g) in x.chunks(BLOCK).zip(g.chunks(BLOCK)) {
            let mut lanes = [0f32; LANES];
            let (whole, g_whole) = (block.chunks_exact(LANES), g.chunks_exact(LANES));
            let rest = whole.remainder().iter().zip(g_whole.remainder());
            let rest: f32 = rest.map(|(v, g)| (v - from) * (g - g_from)).sum();
            for (chunk, g) in whole.zip(g_whole) {
                for ((l, v), g) in lanes.iter_mut().zip(chunk).zip(g) {
                    *l += (v - from) * (g - g_from);
                }
            }
            total += f64::from(lanes.iter().sum::<f32>() + rest);
        }
        total
    }
}

multiversion! {
    /// `dz = scale (dz - mean_dz - (x - mean) slope)`: batch normalisation's gradient, in place.
    fn normalize_gradient_row(dz: &mut [f32], x: &[f32], scale: f32, mean_dz: f32, mean: f32, slope: f32) {
        for (dz, x) in dz.iter_mut().zip(x) {
            *dz = scale * (*dz - mean_dz - (x - mean) * slope);
        }
    }
}

multiversion! {
    /// `y += a x`.
    fn add_row(x: &[f32], a: f32, y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
    }
}

multiversion! {
    /// `y = a x + b z`.
    fn blend_row(x: &[f32], a: f32, z: &[f32], b: f32, y: &mut [f32]) {
        for ((y, x), z) in y.iter_mut().zip(x).zip(z) {
            *y = a * x + b * z;
        }
    }
}

/// Pixels whose softmax is taken at once, each in a lane of its own.
const PIXELS: usize = 64;

multiversion! {
    /// Softmax over `rows` at each position, in place, after `add[row]` was added to each row.
    fn softmax_rows(rows: &mut [&mut [f32]], add: &[f32]) {
        let n = rows.first().map_or(0, |row| row.len());
        for start in (0..n).step_by(PIXELS) {
            let here = start..n.min(start + PIXELS);
            let (mut largest, mut sums) = ([f32::NEG_INFINITY; PIXELS], [0f32; PIXELS]);
            for (row, add) in rows.iter_mut().zip(add) {
                for (x, largest) in row[here.clone()].iter_mut().zip(&mut largest) {
                    *x += add;
                    *largest = if *x > *largest { *x } else { *largest };
                }
            }
            for row in rows.iter_mut() {
                for ((x, largest), sum) in row[here.clone()].iter_mut().zip(&largest).zip(&mut sums) {
                    let difference = *x - largest;
                    // `exp` stops at its smallest value; what is excluded has no weight at all.
                    *x = if difference < -87. { 0. } else { exp(difference) };
                    *sum += *x;
                }
            }
            for row in rows.iter_mut() {
                row[here.clone()].iter_mut().zip(&sums).for_each(|(x, sum)| *x /= sum);
            }
        }
    }
}

multiversion! {
    /// The softmax's gradient, in place of its result's: `d = y (d - sum_rows y d)`.
    fn softmax_gradient_rows(y: &[&[f32]], d: &mut [&mut [f32]]) {
        let n = y.first().map_or(0, |row| row.len());
        for start in (0..n).step_by(PIXELS) {
            let here = start..n.min(start + PIXELS);
            let mut sums = [0f32; PIXELS];
            for (y, d) in y.iter().zip(d.iter()) {
                for ((y, d), sum) in y[here.clone()].iter().zip(&d[here.clone()]).zip(&mut sums) {
                    *sum += y * d;
                }
            }
            for (y, d) in y.iter().zip(d.iter_mut()) {
                for ((y, d), sum) in y[here.clone()].iter().zip(&mut d[here.clone()]).zip(&sums) {
                    *d = y * (*d - sum);
                }
            }
        }
    }
}

multiversion! {
    /// The larger of both, in place; NaN counts as larger.
    fn max_row(x: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = if *x > *y || x.is_nan() { *x } else { *y });
    }
}

multiversion! {
    /// One step of Adam.
    fn adam_row(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: AdamStep) {
        // Complements in f64 first: 1 - 0.999 loses four digits in f32.
        let (keep_m, take_m) = (step.betas.0 as f32, (1. - step.betas.0) as f32);
        let (keep_v, take_v) = (step.betas.1 as f32, (1. - step.betas.1) as f32);
        let (rate, root, eps) = (step.rate as f32, step.root as f32, step.eps as f32);
        let scale = step.scale as f32;
        for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * scale;
            *m = keep_m * *m + take_m * g;
            *v = keep_v * *v + take_v * g * g;
            *p -= rate * *m / (v.sqrt() / root + eps);
        }
    }
}

multiversion! {
    /// `a = keep a + take x`.
    fn average_row(a: &mut [f32], x: &[f32], keep: f32, take: f32) {
        a.iter_mut().zip(x).for_each(|(a, x)| *a = keep * *a + take * x);
    }
}

multiversion! {
    /// `x *= scale`.
    fn scale_row(x: &mut [f32], scale: f32) {
        x.iter_mut().for_each(|x| *x *= scale);
    }
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
        assert!((sigmoid(-100.) + 1. - sigmoid(100.)).abs() < 1e-6);
    }
}
