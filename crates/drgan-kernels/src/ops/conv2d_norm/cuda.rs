//! A convolution and its normalization on CUDA devices: the convolution's map is made once, and lives until the backward pass
//! has used it.
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use crate::ops::batch_norm::cuda::{BatchNorm, ScaleBias, Statistics};
use crate::ops::conv2d::cuda::{forward, input_gradient, weight_gradient};
use crate::ops::conv2d::shape::ConvShape;
use candle_core::{Result, Shape};

/// A convolution and its normalization. The third input is the [node](ScaleBias::node) of the normalization's weights and
/// biases.
pub(super) struct ConvNorm {
    pub(super) shape: ConvShape,
    pub(super) norm: BatchNorm,
    pub(super) scale_bias: ScaleBias,
}

/// What the backward pass needs.
pub(super) struct Saved {
    /// The convolution's result, which the normalization's gradient reads.
    convolved: Buffer,
    pub(super) statistics: Statistics,
}

impl Op<3> for ConvNorm {
    const NAME: &'static str = "conv2d, batch normalization and activation";
    type Saved = Saved;

    fn output(&self) -> Shape {
        self.norm.act.shape_out(&self.norm.dims)
    }

    fn forward(&self, queue: &Queue, [x, weight, _]: [View<'_>; 3]) -> Result<(Buffer, Saved)> {
        let convolved = forward(queue, &self.shape, x, weight)?;
        let (y, statistics) = self.norm.normalize_by(convolved.view(), &self.scale_bias, None)?;
        Ok((y, Saved { convolved, statistics }))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 3, Saved>) -> Result<[Gradient; 3]> {
        let ([x, weight, _], Saved { convolved, statistics }) = (pass.inputs, pass.saved);
        let [of_x, of_weight, _] = pass.wanted;
        let (dz, d_scale_bias) = self.norm.gradients_by(
            convolved.view(),
            &self.scale_bias,
            statistics,
            pass.gradient,
            of_x || of_weight,
        )?;
        let (mut dx, mut dw) = (Gradient::None, Gradient::None);
        if let Some(dz) = dz {
            dx = Gradient::when(of_x, || input_gradient(queue, &self.shape, dz.view(), weight))?;
            dw = Gradient::when(of_weight, || weight_gradient(queue, &self.shape, x, dz.view()))?;
        }
        Ok([dx, dw, Gradient::Values(d_scale_bias)])
    }
}
