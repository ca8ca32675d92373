//! Power iteration and the division by the largest singular value, by rows of the weight.
use crate::cpu::rows::affine::{add_row, blend_row};
use crate::cpu::rows::reduce::product_row;
use crate::cpu::shared_slice::fill_uninit;
use crate::op::{Gradient, Op, Pass};
use candle_core::Shape;
use rayon::prelude::*;

/// Columns of W that one task multiplies by `u`.
const COLUMNS: usize = 512;

/// `u'` and `v'` of the matrix W `(u.len(), K)`, see [`power_iteration`](crate::power_iteration).
pub(super) fn iterate(w: &[f32], u: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let k = w.len() / u.len().max(1);
    let mut v = vec![0f32; k];
    v.par_chunks_mut(COLUMNS).enumerate().for_each(|(i, v)| {
        for (row, u) in w.chunks_exact(k).zip(u) {
            add_row(&row[i * COLUMNS..][..v.len()], *u, v);
        }
    });
    normalize(&mut v);
    let mut u = products(w, &v);
    normalize(&mut u);
    (u, v)
}

/// `W v`.
fn products(w: &[f32], v: &[f32]) -> Vec<f32> {
    w.par_chunks_exact(v.len().max(1)).map(|row| product_row(row, 0., v, 0.) as f32).collect()
}

fn normalize(x: &mut [f32]) {
    let norm = product_row(x, 0., x, 0.).sqrt() + 1e-12;
    x.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
}

/// The division of a weight of this shape, which leaves sigma for the backward pass. Its inputs are W, u and v.
pub(super) struct Divide(pub(super) Shape);

impl Op<3> for Divide {
    const NAME: &'static str = "spectral_norm";
    type Saved = f32;

    fn output(&self) -> Shape {
        self.0.clone()
    }

    fn forward(&self, [w, u, v]: [&[f32]; 3]) -> (Vec<f32>, f32) {
        let sigma = product_row(&products(w, v), 0., u, 0.) as f32;
        // SAFETY: rows cover all values, each is its task's own and is written without being read.
        let y = unsafe {
            fill_uninit(w.len(), |out| {
                w.par_chunks_exact(v.len()).enumerate().for_each(|(o, w)| {
                    blend_row(w, 1. / sigma, w, 0., out.slice_mut(o * v.len(), v.len()));
                });
            })
        };
        (y, sigma)
    }

    /// `(dy - <dy, y> u v^T) / sigma`.
    fn backward(&self, pass: Pass<'_, 3, f32>) -> [Gradient; 3] {
        let ([_, u, v], y, dy, sigma) = (pass.inputs, pass.output, pass.gradient, pass.saved);
        let k = v.len();
        let rows = dy.par_chunks_exact(k).zip(y.par_chunks_exact(k));
        let sums: Vec<f64> = rows.map(|(dy, y)| product_row(dy, 0., y, 0.)).collect();
        let along = sums.iter().sum::<f64>() as f32;
        // SAFETY: as above.
        let dw = unsafe {
            fill_uninit(dy.len(), |out| {
                dy.par_chunks_exact(k).zip(u).enumerate().for_each(|(o, (dy, u))| {
                    blend_row(dy, 1. / sigma, v, -along * u / sigma, out.slice_mut(o * k, k));
                });
            })
        };
        [Gradient::Values(dw), Gradient::None, Gradient::None]
    }
}
