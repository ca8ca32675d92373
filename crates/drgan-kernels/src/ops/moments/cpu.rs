//! Mean and variance in two passes over each channel.
use crate::cpu::channels::Channels;
use crate::cpu::rows::affine::{Affine, activate_row};
use crate::cpu::rows::reduce::{product_row, sum_row};
use crate::cpu::shared_slice::fill_uninit;
use crate::op::{Gradient, Op, Pass};
use crate::ops::activation::kind::Activation;
use candle_core::Shape;
use rayon::prelude::*;

/// Mean and population variance of channel `c`.
pub(crate) fn of_channel(channels: &Channels, x: &[f32], c: usize) -> (f32, f32) {
    let n = (channels.b * channels.plane) as f64;
    let over = |f: &dyn Fn(&[f32]) -> f64| (0..channels.b).map(|b| f(channels.row(x, b, c))).sum::<f64>() / n;
    let mean = over(&|row| sum_row(row, 0.)) as f32;
    (mean, over(&|row| product_row(row, mean, row, mean)) as f32)
}

/// The moments of a map of these dimensions, as `(2, C)`.
pub(super) struct Moments(pub(super) Vec<usize>);

impl Op<1> for Moments {
    const NAME: &'static str = "moments";
    type Saved = ();

    fn output(&self) -> Shape {
        (2, self.0[1]).into()
    }

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        let channels = Channels::of(&self.0);
        let (mean, var): (Vec<f32>, Vec<f32>) =
            (0..channels.c).into_par_iter().map(|c| of_channel(&channels, x, c)).unzip();
        ([mean, var].concat(), ())
    }

    /// `(dmean + 2 (x - mean) dvar) / n`, which is affine in `x`.
    fn backward(&self, pass: Pass<'_, 1, ()>) -> [Gradient; 1] {
        let ([x], mean, dy, channels) = (pass.inputs, pass.output, pass.gradient, Channels::of(&self.0));
        let n = (channels.b * channels.plane) as f32;
        let row = |i: usize, dx: &mut [f32]| {
            let (b, c) = (i / channels.c, i % channels.c);
            let slope = 2. * dy[channels.c + c] / n;
            let by = Affine { scale: slope, shift: dy[c] / n - slope * mean[c] };
            activate_row(Activation::Identity, channels.row(x, b, c), by, dx);
        };
        // SAFETY: rows cover all values, each is its task's own and is written without being read.
        let dx = unsafe {
            fill_uninit(x.len(), |out| {
                (0..channels.b * channels.c)
                    .into_par_iter()
                    .with_min_len(channels.rows_per_task())
                    .for_each(|i| row(i, out.slice_mut(i * channels.plane, channels.plane)));
            })
        };
        [Gradient::Values(dx)]
    }
}
