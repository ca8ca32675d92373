//! What an optimizer does to every parameter after a step: one pass over plain slices each.
use crate::cpu::rows;
use rayon::prelude::*;

/// Elements a task takes; fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1 << 15;

/// The numbers of one step of Adam that all parameters share.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    /// Decays of the first and second moment.
    pub betas: (f64, f64),
    /// Learning rate over `1 - beta1^t`.
    pub rate: f64,
    /// `sqrt(1 - beta2^t)`.
    pub root: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// What gradients are multiplied by first.
    pub scale: f64,
}

/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`, `p -= rate m / (sqrt(v) / root + eps)` with `g` times `scale`.
///
/// # Panics
/// Slices of other lengths.
pub fn adam(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: AdamStep) {
    let n = p.len();
    assert!(g.len() == n && m.len() == n && v.len() == n, "adam: lengths differ");
    let moments = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
    p.par_chunks_mut(CHUNK)
        .zip(g.par_chunks(CHUNK))
        .zip(moments)
        .for_each(|((p, g), (m, v))| rows::adam_row(p, g, m, v, step));
}

/// `a = decay a + (1 - decay) x`.
///
/// # Panics
/// Slices of other lengths.
pub fn average(a: &mut [f32], x: &[f32], decay: f64) {
    assert_eq!(a.len(), x.len(), "average: lengths differ");
    let chunks = a.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK));
    chunks.for_each(|(a, x)| rows::average_row(a, x, decay as f32, (1. - decay) as f32));
}

/// `sum x^2`; NaN or infinite if a value is.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let parts: Vec<f64> = x.par_chunks(CHUNK).map(|x| rows::product_row(x, 0., x, 0.)).collect();
    parts.iter().sum()
}
