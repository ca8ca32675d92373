//! Sums over rows: f32 accumulators for short blocks, added up in f64.
use crate::cpu::multiversion::multiversion;

/// Values that one f32 accumulator set takes before it is added to the f64 total.
const BLOCK: usize = 1024;
/// Independent accumulators: several registers of them, so that additions need not wait for one another.
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
