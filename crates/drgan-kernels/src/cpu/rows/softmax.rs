//! The softmax over several rows at each position, and its gradient.
use crate::cpu::exp::exp;
use crate::cpu::multiversion::multiversion;

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
