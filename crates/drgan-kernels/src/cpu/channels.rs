//! An activation after a scale and a shift per channel, over maps, and its gradient: what activations, batch
//! normalization and normalization by running statistics have in common.
use crate::cpu::rows::affine::{self, Affine};
use crate::cpu::rows::reduce::sum_row;
use crate::cpu::shared_slice::fill_uninit;
use crate::ops::activation::kind::Activation;
use rayon::prelude::*;
use std::borrow::Cow;

/// Maps of channels: `b` images of `c` channels of `plane` values each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channels {
    pub(crate) b: usize,
    pub(crate) c: usize,
    pub(crate) plane: usize,
}

impl Channels {
    /// Maps of one value each, of several images, as one map per channel, with `values` in that order: rows of one value
    /// would be all overhead. Larger maps stay as they are.
    pub(crate) fn to_channel_major<'a>(self, values: &'a [f32]) -> (Self, Cow<'a, [f32]>) {
        if self.is_flat() {
            let across = Self { b: 1, plane: self.b, ..self };
            return (across, Cow::Owned(transposed(values, self.c)));
        }
        (self, Cow::Borrowed(values))
    }

    /// `values` of `channels` channels that were computed from maps [in channel-major order](Self::to_channel_major), in
    /// this order.
    pub(crate) fn undo_channel_major(&self, values: Vec<f32>, channels: usize) -> Vec<f32> {
        if self.is_flat() && channels > 0 { transposed(&values, values.len() / channels) } else { values }
    }

    fn is_flat(&self) -> bool {
        self.plane == 1 && self.b > 1 && self.c > 0
    }

    /// The maps of a tensor of `dims`, `(B, C, ...)`.
    pub(crate) fn of(dims: &[usize]) -> Self {
        Self { b: dims[0], c: dims[1], plane: dims[2..].iter().product() }
    }

    /// The map of channel `c` of image `b`.
    pub(crate) fn row<'a>(&self, x: &'a [f32], b: usize, c: usize) -> &'a [f32] {
        &x[(b * self.c + c) * self.plane..][..self.plane]
    }

    /// Rows that make a task of about a thousand values or more, so that small maps are not all overhead.
    pub(crate) fn rows_per_task(&self) -> usize {
        (1024 / self.plane.max(1)).max(1)
    }

    /// Of every channel, the sum over images and pixels.
    pub(crate) fn sums(&self, x: &[f32]) -> Vec<f32> {
        let sum = |c: usize| (0..self.b).map(|b| sum_row(self.row(x, b, c), 0.)).sum::<f64>() as f32;
        (0..self.c).into_par_iter().map(sum).collect()
    }

    /// `act(affine_c(x)) + residual` for every map. `by` is called once for each channel, and again for its gate.
    ///
    /// A task takes a channel's maps of all images, so that what `by` has read of them is still in the cache.
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
                                affine::gate_row(self.row(x, b, c), by_c, self.row(x, b, gate), by_gate, y);
                            }
                            None => affine::activate_row(act, self.row(x, b, c), by_c, y),
                        }
                        if let Some(residual) = residual {
                            affine::add_row(&residual[from..][..self.plane], 1., y);
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
                            affine::gate_gradient_row(a, by(c), g, by(gate), dy_row(b), da, db);
                        }
                        finish(gate, &mut gates);
                    } else {
                        for (b, dz) in own.iter_mut().enumerate() {
                            affine::activate_gradient_row(act, self.row(x, b, c), by(c), dy_row(b), dz);
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
