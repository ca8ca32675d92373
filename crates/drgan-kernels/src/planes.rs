//! An activation behind a scale and a shift a channel, over maps, and its gradient: what the activation, the batch
//! normalisation and the remembered normalisation have in common.
use crate::activation::Activation;
use crate::cpu::Disjoint;
use crate::rows::{self, Affine};
use rayon::prelude::*;

/// `(B, C, plane)` of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes {
    pub(crate) b: usize,
    pub(crate) c: usize,
    pub(crate) plane: usize,
}

impl Planes {
    pub(crate) fn of(dims: &[usize]) -> Self {
        Self { b: dims[0], c: dims[1], plane: dims[2..].iter().product() }
    }

    pub(crate) fn row<'a>(&self, x: &'a [f32], b: usize, c: usize) -> &'a [f32] {
        &x[(b * self.c + c) * self.plane..][..self.plane]
    }

    /// `act(affine_c(x))` for every map.
    pub(crate) fn activate(
        &self,
        x: &[f32],
        act: Activation,
        by: &(impl Fn(usize) -> Affine + Sync),
    ) -> Vec<f32> {
        let out_channels = act.channels_out(self.c);
        let mut y = vec![0f32; self.b * out_channels * self.plane];
        if y.is_empty() {
            return y;
        }
        // Tasks of about a thousand values or more, so that small maps are not all overhead.
        let least = (1024 / self.plane).max(1);
        y.par_chunks_exact_mut(self.plane).enumerate().with_min_len(least).for_each(|(i, y)| {
            let (b, c) = (i / out_channels, i % out_channels);
            if act == Activation::Glu {
                let gate = c + out_channels;
                rows::gate_row(self.row(x, b, c), by(c), self.row(x, b, gate), by(gate), y);
            } else {
                rows::activate_row(act, self.row(x, b, c), by(c), y);
            }
        });
        y
    }

    /// The gradient of `affine_c(x)`, and then `finish(c, rows)` on all of a channel's maps, one `(B)` set at a time.
    pub(crate) fn gradient(
        &self,
        x: &[f32],
        act: Activation,
        by: &(impl Fn(usize) -> Affine + Sync),
        dy: &[f32],
        finish: &(impl Fn(usize, &mut [&mut [f32]]) + Sync),
    ) -> Vec<f32> {
        let out_channels = act.channels_out(self.c);
        let mut dz = vec![0f32; x.len()];
        let out = Disjoint::new(&mut dz);
        // SAFETY: a channel belongs to one task (with its gate, if any), and its maps are disjoint.
        let map = |b: usize, c: usize| unsafe { out.part((b * self.c + c) * self.plane, self.plane) };
        (0..out_channels).into_par_iter().for_each(|c| {
            let dy_row = |b: usize| &dy[(b * out_channels + c) * self.plane..][..self.plane];
            let mut own: Vec<&mut [f32]> = (0..self.b).map(|b| map(b, c)).collect();
            if act == Activation::Glu {
                let gate = c + out_channels;
                let mut gates: Vec<&mut [f32]> = (0..self.b).map(|b| map(b, gate)).collect();
                for (b, (da, db)) in own.iter_mut().zip(&mut gates).enumerate() {
                    let (a, g) = (self.row(x, b, c), self.row(x, b, gate));
                    rows::gate_gradient_row(a, by(c), g, by(gate), dy_row(b), da, db);
                }
                finish(gate, &mut gates);
            } else {
                for (b, dz) in own.iter_mut().enumerate() {
                    rows::activate_gradient_row(act, self.row(x, b, c), by(c), dy_row(b), dz);
                }
            }
            finish(c, &mut own);
        });
        dz
    }
}
