//! The convolution's map is made once, and lives until the backward pass has used it.
use crate::op::{Gradient, Op, Pass};
use crate::ops::batch_norm::cpu::{BatchNorm, Statistics};
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::cpu::select::{forward, input_gradient, weight_gradient};
use crate::ops::conv2d::shape::ConvShape;
use candle_core::Shape;

/// A convolution and its normalization. The third input is the normalization's weights and biases, `(2, O)`.
pub(super) struct ConvNorm {
    pub(super) shape: ConvShape,
    pub(super) norm: BatchNorm,
}

/// What the backward pass needs.
pub(super) struct Saved {
    /// The convolution's result, which the normalization's gradient reads.
    convolved: Vec<f32>,
    pub(super) statistics: Statistics,
}

impl Op<3> for ConvNorm {
    const NAME: &'static str = "conv2d, batch normalization and activation";
    type Saved = Saved;

    fn output(&self) -> Shape {
        self.norm.act.shape_out(&self.norm.dims)
    }

    fn forward(&self, [x, weight, scale_bias]: [&[f32]; 3]) -> (Vec<f32>, Saved) {
        let convolved = forward(&self.shape, x, weight, &Epilogue::bias(None));
        let (y, statistics) = self.norm.normalize(&convolved, scale_bias, None);
        (y, Saved { convolved, statistics })
    }

    fn backward(&self, pass: Pass<'_, 3, Saved>) -> [Gradient; 3] {
        let ([x, weight, scale_bias], Saved { convolved, statistics }) = (pass.inputs, pass.saved);
        let (dz, d_scale_bias) = self.norm.gradients(convolved, scale_bias, statistics, pass.gradient);
        [
            Gradient::of(pass.wanted[0], || input_gradient(&self.shape, &dz, weight)),
            Gradient::of(pass.wanted[1], || weight_gradient(&self.shape, x, &dz)),
            Gradient::Values(d_scale_bias),
        ]
    }
}
