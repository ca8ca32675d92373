//! Batch normalization, activation and residual in one pass over each channel after its statistics.
use crate::cpu::channels::Channels;
use crate::cpu::rows::affine::{Affine, normalize_gradient_row, scale_row};
use crate::cpu::rows::reduce::{product_row, sum_row};
use crate::op::{Gradient, Op, Pass};
use crate::ops::activation::kind::Activation;
use crate::ops::moments::cpu::of_channel;
use candle_core::Shape;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Mean and population variance of each channel.
#[derive(Debug)]
pub(crate) struct Statistics {
    pub(super) mean: Vec<f32>,
    pub(super) var: Vec<f32>,
}

/// Normalization of a map of `dims` by its own statistics. The second input is weights and biases, `(2, C)`; the third, if
/// any, the residual.
pub(crate) struct BatchNorm {
    pub(crate) eps: f64,
    pub(crate) act: Activation,
    pub(crate) dims: Vec<usize>,
}

/// What one channel is normalized by.
#[derive(Clone, Copy, Default)]
struct Normalizer {
    mean: f32,
    inverse: f32,
}

impl Normalizer {
    fn affine(self, weight: f32, bias: f32) -> Affine {
        let scale = weight * self.inverse;
        Affine { scale, shift: bias - self.mean * scale }
    }
}

impl BatchNorm {
    fn normalizer(&self, mean: f32, var: f32) -> Normalizer {
        Normalizer { mean, inverse: (1. / (f64::from(var) + self.eps).sqrt()) as f32 }
    }

    /// The result for `x` with weights and biases `scale_bias`, and the statistics.
    pub(crate) fn normalize(
        &self,
        x: &[f32],
        scale_bias: &[f32],
        residual: Option<&[f32]>,
    ) -> (Vec<f32>, Statistics) {
        let layout = Channels::of(&self.dims);
        let (channels, x) = layout.to_channel_major(x);
        let (weight, bias) = scale_bias.split_at(channels.c);
        let out = self.act.channels_out(channels.c);
        let residual = residual.map(|r| Channels { c: out, ..layout }.to_channel_major(r).1);
        let found: Vec<OnceLock<(f32, f32)>> = (0..channels.c).map(|_| OnceLock::new()).collect();
        let by = |c: usize| {
            let (mean, var) = *found[c].get_or_init(|| of_channel(&channels, &x, c));
            self.normalizer(mean, var).affine(weight[c], bias[c])
        };
        let y = layout.undo_channel_major(channels.activate(&x, self.act, &by, residual.as_deref()), out);
        let (mean, var) = found.into_iter().map(|f| f.into_inner().unwrap_or_default()).unzip();
        (y, Statistics { mean, var })
    }

    /// Gradients of `x` and of `scale_bias`.
    pub(crate) fn gradients(
        &self,
        x: &[f32],
        scale_bias: &[f32],
        Statistics { mean, var }: &Statistics,
        dy: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let layout = Channels::of(&self.dims);
        let n = (layout.b * layout.plane) as f64;
        let (channels, x) = layout.to_channel_major(x);
        let (_, dy) = Channels { c: self.act.channels_out(layout.c), ..layout }.to_channel_major(dy);
        let (weight, bias) = scale_bias.split_at(channels.c);
        let normalizer = |c: usize| self.normalizer(mean[c], var[c]);
        let sums = ChannelSums::new(channels.c);
        let finish = |c: usize, dz: &mut [&mut [f32]]| {
            let Normalizer { mean, inverse } = normalizer(c);
            let row = |b: usize| channels.row(&x, b, c);
            let (mut d_bias, mut d_centered) = (0., 0.);
            for (b, dz) in dz.iter().enumerate() {
                d_bias += sum_row(dz, 0.);
                d_centered += product_row(row(b), mean, dz, 0.);
            }
            let slope = d_centered / n * f64::from(inverse) * f64::from(inverse);
            for (b, dz) in dz.iter_mut().enumerate() {
                let scale = weight[c] * inverse;
                normalize_gradient_row(dz, row(b), scale, (d_bias / n) as f32, mean, slope as f32);
            }
            sums.set(c, (d_centered * f64::from(inverse)) as f32, d_bias as f32);
        };
        let by = |c: usize| normalizer(c).affine(weight[c], bias[c]);
        let dx = layout.undo_channel_major(channels.gradient(&x, self.act, &by, &dy, &finish), channels.c);
        let (d_weight, d_bias) = sums.into_vectors();
        (dx, [d_weight, d_bias].concat())
    }
}

impl Op<2> for BatchNorm {
    const NAME: &'static str = "batch normalization and activation";
    type Saved = Statistics;

    fn output(&self) -> Shape {
        self.act.shape_out(&self.dims)
    }

    fn forward(&self, [x, scale_bias]: [&[f32]; 2]) -> (Vec<f32>, Statistics) {
        self.normalize(x, scale_bias, None)
    }

    fn backward(&self, pass: Pass<'_, 2, Statistics>) -> [Gradient; 2] {
        let [x, scale_bias] = pass.inputs;
        let (dx, d_scale_bias) = self.gradients(x, scale_bias, pass.saved, pass.gradient);
        [Gradient::Values(dx), Gradient::Values(d_scale_bias)]
    }
}

impl Op<3> for BatchNorm {
    const NAME: &'static str = "batch normalization, activation and residual";
    type Saved = Statistics;

    fn output(&self) -> Shape {
        self.act.shape_out(&self.dims)
    }

    fn forward(&self, [x, scale_bias, residual]: [&[f32]; 3]) -> (Vec<f32>, Statistics) {
        self.normalize(x, scale_bias, Some(residual))
    }

    fn backward(&self, pass: Pass<'_, 3, Statistics>) -> [Gradient; 3] {
        let [x, scale_bias, _] = pass.inputs;
        let (dx, d_scale_bias) = self.gradients(x, scale_bias, pass.saved, pass.gradient);
        [Gradient::Values(dx), Gradient::Values(d_scale_bias), Gradient::OfOutput]
    }
}

/// `act(scale x + shift)` of a map of `dims`, a scale and a shift per channel.
pub(super) struct ScaleShift {
    pub(super) act: Activation,
    pub(super) dims: Vec<usize>,
}

impl Op<3> for ScaleShift {
    const NAME: &'static str = "scale, shift and activation";
    type Saved = ();

    fn output(&self) -> Shape {
        self.act.shape_out(&self.dims)
    }

    fn forward(&self, [x, scale, shift]: [&[f32]; 3]) -> (Vec<f32>, ()) {
        let by = |c: usize| Affine { scale: scale[c], shift: shift[c] };
        (Channels::of(&self.dims).activate(x, self.act, &by, None), ())
    }

    fn backward(&self, pass: Pass<'_, 3, ()>) -> [Gradient; 3] {
        let ([x, scale, shift], channels) = (pass.inputs, Channels::of(&self.dims));
        let learns = pass.wanted[1] || pass.wanted[2];
        let by = |c: usize| Affine { scale: scale[c], shift: shift[c] };
        let sums = ChannelSums::new(channels.c);
        let finish = |c: usize, dz: &mut [&mut [f32]]| {
            if learns {
                let rows = || dz.iter().enumerate();
                let by_x = rows().map(|(b, dz)| product_row(channels.row(x, b, c), 0., dz, 0.)).sum::<f64>();
                sums.set(c, by_x as f32, rows().map(|(_, dz)| sum_row(dz, 0.)).sum::<f64>() as f32);
            }
            dz.iter_mut().for_each(|dz| scale_row(dz, scale[c]));
        };
        let dx = channels.gradient(x, self.act, &by, pass.gradient, &finish);
        let (d_scale, d_shift) = sums.into_vectors();
        [Gradient::Values(dx), Gradient::Values(d_scale), Gradient::Values(d_shift)]
    }
}

/// The gradients of each channel's scale and shift, written by the task that owns the channel.
struct ChannelSums(Vec<Mutex<(f32, f32)>>);

impl ChannelSums {
    fn new(channels: usize) -> Self {
        Self((0..channels).map(|_| Mutex::default()).collect())
    }

    fn set(&self, channel: usize, scale: f32, shift: f32) {
        *self.0[channel].lock().unwrap_or_else(PoisonError::into_inner) = (scale, shift);
    }

    fn into_vectors(self) -> (Vec<f32>, Vec<f32>) {
        self.0.into_iter().map(|s| s.into_inner().unwrap_or_else(PoisonError::into_inner)).unzip()
    }
}
