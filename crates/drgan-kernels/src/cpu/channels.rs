//! An activation behind a scale and a shift a channel, over maps, and its gradient: what the activation, the batch
//! normalisation and the remembered normalisation have in common.
use crate::cpu::fill_uninit;
use crate::cpu::rows::{self, Affine};
use crate::ops::activation::Activation;
use rayon::prelude::*;
use std::borrow::Cow;

/// `(B, C, plane)` of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channels {
    pub(crate) b: usize,
    pub(crate) c: usize,
    pub(crate) plane: usize,
}

impl Channels {
    /// Maps of one value each, of several pictures, as one map a channel, with `values` in that order: rows of one value
    /// would be all overhead. Otherwise as they are.
    pub(crate) fn to_channel_major<'a>(self, values: &'a [f32]) -> (Self, Cow<'a, [f32]>) {
        if self.is_flat() {
            let across = Self { b: 1, plane: self.b, ..self };
            return (across, Cow::Owned(transposed(values, self.c)));
        }
        (self, Cow::Borrowed(values))
    }

    /// `values` of `channels` channels, that came of planes [side by side](Self::to_channel_major), as these planes lie.
    pub(crate) fn from_channel_major(&self, values: Vec<f32>, channels: usize) -> Vec<f32> {
        if self.is_flat() && channels > 0 { transposed(&values, values.len() / channels) } else { values }
    }

    fn is_flat(&self) -> bool {
        self.plane == 1 && self.b > 1 && self.c > 0
    }

    pub(crate) fn of(dims: &[usize]) -> Self {
        Self { b: dims[0], c: dims[1], plane: dims[2..].iter().product() }
    }

    pub(crate) fn row<'a>(&self, x: &'a [f32], b: usize, c: usize) -> &'a [f32] {
        &x[(b * self.c + c) * self.plane..][..self.plane]
    }

    /// Rows that make a task of about a thousand values or more, so that small maps are not all overhead.
    pub(crate) fn rows_per_task(&self) -> usize {
        (1024 / self.plane.max(1)).max(1)
    }

    /// Of every channel, the sum over pictures and pixels.
    pub(crate) fn sums(&self, x: &[f32]) -> Vec<f32> {
        let sum = |c: usize| (0..self.b).map(|b| rows::sum_row(self.row(x, b, c), 0.)).sum::<f64>() as f32;
        (0..self.c).into_par_iter().map(sum).collect()
    }

    /// `act(affine_c(x)) + residual` for every map. `by` is asked once for each channel, and again for its gate.
    ///
    /// A task takes a channel's maps of all pictures, so that what `by` reads of them is still at hand.
    pub(crate) fn activate(
        &self,
        x: &[f32],
        act: Activation,
        by: &(impl Fn(usize) -> Affine + Sync),
        residual: Option<&[f32]>,
    ) -> Vec<f32> {
        let out_channels = act.channels_out(self.c);
        let least = (self.rows_per_task() / self.b.max(1)).max(1);
        // SAFETY: tasks have their own channels, which cover all; a row is written before `residual` is added to it.
        unsafe {
            fill_uninit(self.b * out_channels * self.plane, |out| {
                (0..out_channels).into_par_iter().with_min_len(least).for_each(|c| {
                    let gate = c + out_channels;
                    let (by_c, by_gate) = (by(c), (act == Activation::Glu).then(|| by(gate)));
                    for b in 0..self.b {
                        let from = (b * out_channels + c) * self.plane;
                        let y = out.slice_mut(from, self.plane);
                        match by_gate {
                            Some(by_gate) => {
                                rows::gate_row(self.row(x, b, c), by_c, self.row(x, b, gate), by_gate, y);
                            }
                            None => rows::activate_row(act, self.row(x, b, c), by_c, y),
                        }
                        if let Some(residual) = residual {
                            rows::add_row(&residual[from..][..self.plane], 1., y);
                        }
                    }
                });
            })
        }
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
        // SAFETY: a channel belongs to one task (with its gate, if any), and its maps are disjoint; all are written before
        // `finish` reads them.
        unsafe {
            fill_uninit(x.len(), |out| {
                let map = |b: usize, c: usize| out.slice_mut((b * self.c + c) * self.plane, self.plane);
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
            })
        }
    }
}

/// `(rows, columns)` as `(columns, rows)`.
fn transposed(x: &[f32], columns: usize) -> Vec<f32> {
    let rows = x.len() / columns;
    let mut out = vec![0f32; x.len()];
    for (i, row) in x.chunks_exact(columns).enumerate() {
        out[i..].iter_mut().step_by(rows).zip(row).for_each(|(to, v)| *to = *v);
    }
    out
}
