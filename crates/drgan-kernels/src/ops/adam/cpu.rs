//! One pass over the values of a parameter and its moments, or of an average. Work is divided into chunks of a fixed
//! length, so that results do not depend on the number of threads.
use super::step::AdamStep;
use crate::cpu::multiversion::multiversion;
use crate::cpu::rows::reduce::product_row;
use rayon::prelude::*;

/// Values that a task takes.
const CHUNK: usize = 1 << 15;

/// One step of [Adam](super::adam_update).
pub(super) fn adam(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: AdamStep) {
    let moments = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
    p.par_chunks_mut(CHUNK)
        .zip(g.par_chunks(CHUNK))
        .zip(moments)
        .for_each(|((p, g), (m, v))| adam_row(p, g, m, v, step));
}

/// `average = decay average + (1 - decay) value`.
pub(super) fn ema(average: &mut [f32], value: &[f32], decay: f64) {
    let chunks = average.par_chunks_mut(CHUNK).zip(value.par_chunks(CHUNK));
    chunks.for_each(|(average, value)| ema_row(average, value, decay as f32, (1. - decay) as f32));
}

/// `sum x^2`.
pub(super) fn sum_of_squares(x: &[f32]) -> f64 {
    let parts: Vec<f64> = x.par_chunks(CHUNK).map(|x| product_row(x, 0., x, 0.)).collect();
    parts.iter().sum()
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
    /// `average = keep average + take value`.
    fn ema_row(average: &mut [f32], value: &[f32], keep: f32, take: f32) {
        average.iter_mut().zip(value).for_each(|(a, x)| *a = keep * *a + take * x);
    }
}
