//! The convolution on CUDA devices as a node of the graph, with a backward pass that skips constants.
use super::{forward, input_gradient, weight_gradient};
use crate::cpu::channels::Channels;
use crate::cuda::channels::{Scales, activate, sums};
use crate::cuda::op::{Gradient, Op, Pass, apply};
use crate::cuda::{Buffer, Queue, View};
use crate::ops::activation::cuda::activation_backward;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::shape::ConvShape;
use candle_core::{Result, Shape, Tensor};

/// As `conv2d::op::convolve`, for tensors on a CUDA device.
pub(crate) fn convolve(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    act: Activation,
    shape: ConvShape,
) -> Result<Tensor> {
    let op = Conv { shape, act };
    match bias {
        Some(bias) => apply(op, [x, weight, bias]),
        None => apply(op, [x, weight]),
    }
}

/// A convolution; its third input, if any, is the bias.
struct Conv {
    shape: ConvShape,
    act: Activation,
}

/// `act(z + shift) + residual` of a convolution's sums: one launch, or none where there is nothing to do.
pub(crate) fn finish(
    queue: &Queue,
    g: &ConvShape,
    z: Buffer,
    (shift, act): (Option<View<'_>>, Activation),
    residual: Option<View<'_>>,
) -> Result<Buffer> {
    if shift.is_none() && act == Activation::Identity && residual.is_none() {
        return Ok(z);
    }
    let scales = shift.map_or(Scales::NONE, Scales::shift);
    activate(queue, Channels::of(&dims(g)), z.view(), act, scales, residual)
}

/// The gradient before the activation, if that is another than `dy`: one launch.
pub(crate) fn before_activation(
    queue: &Queue,
    g: &ConvShape,
    act: Activation,
    y: View<'_>,
    dy: View<'_>,
) -> Result<Option<Buffer>> {
    if act == Activation::Identity {
        return Ok(None);
    }
    activation_backward(queue, act, &dims(g), y, dy).map(Some)
}

/// The bias's gradient from that of the sums: one launch, or two for few channels of many values.
pub(crate) fn bias_gradient(queue: &Queue, g: &ConvShape, dz: View<'_>) -> Result<Buffer> {
    sums(queue, Channels::of(&dims(g)), dz)
}

fn dims(g: &ConvShape) -> [usize; 4] {
    [g.b, g.o, g.oh, g.ow]
}

impl Conv {
    fn run(&self, queue: &Queue, x: View<'_>, weight: View<'_>, bias: Option<View<'_>>) -> Result<Buffer> {
        let z = forward(queue, &self.shape, x, weight)?;
        finish(queue, &self.shape, z, (bias, self.act), None)
    }

    /// Gradients of input, weight and bias.
    fn gradients(
        &self,
        queue: &Queue,
        [x, weight]: [View<'_>; 2],
        (y, dy): (View<'_>, View<'_>),
        wanted: [bool; 3],
    ) -> Result<[Gradient; 3]> {
        let g = &self.shape;
        let before = before_activation(queue, g, self.act, y, dy)?;
        let dz = before.as_ref().map_or(dy, Buffer::view);
        Ok([
            Gradient::when(wanted[0], || input_gradient(queue, g, dz, weight))?,
            Gradient::when(wanted[1], || weight_gradient(queue, g, x, dz))?,
            Gradient::when(wanted[2], || bias_gradient(queue, g, dz))?,
        ])
    }
}

impl Op<2> for Conv {
    const NAME: &'static str = "conv2d";
    type Saved = ();

    fn output(&self) -> Shape {
        self.act.shape_out(&dims(&self.shape))
    }

    fn forward(&self, queue: &Queue, [x, weight]: [View<'_>; 2]) -> Result<(Buffer, ())> {
        Ok((self.run(queue, x, weight, None)?, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 2, ()>) -> Result<[Gradient; 2]> {
        let ([x, weight], y) = (pass.wanted, (pass.output, pass.gradient));
        let [dx, dw, _] = self.gradients(queue, pass.inputs, y, [x, weight, false])?;
        Ok([dx, dw])
    }
}

impl Op<3> for Conv {
    const NAME: &'static str = "conv2d with bias";
    type Saved = ();

    fn output(&self) -> Shape {
        self.act.shape_out(&dims(&self.shape))
    }

    fn forward(&self, queue: &Queue, [x, weight, bias]: [View<'_>; 3]) -> Result<(Buffer, ())> {
        Ok((self.run(queue, x, weight, Some(bias))?, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 3, ()>) -> Result<[Gradient; 3]> {
        let ([x, weight, _], y) = (pass.inputs, (pass.output, pass.gradient));
        self.gradients(queue, [x, weight], y, pass.wanted)
    }
}
