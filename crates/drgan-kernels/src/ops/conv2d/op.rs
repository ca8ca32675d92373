//! The convolution as a node of the graph, with a backward pass that skips constants.
use super::cpu::epilogue::Epilogue;
use super::cpu::select::{forward, input_gradient, weight_gradient};
use super::shape::ConvShape;
use crate::cpu::channels::Channels;
use crate::op::{Gradient, Op, Pass, apply};
use crate::ops::activation::cpu::activation_backward;
use crate::ops::activation::kind::Activation;
use candle_core::{Result, Shape, Tensor};

/// `act(conv(x, weight) + bias)` for f32 tensors on the CPU of these sizes, and an activation whose
/// [gradient follows from the output](Activation::gradient_from_output).
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

impl Conv {
    fn dims(&self) -> [usize; 4] {
        let ConvShape { b, o, oh, ow, .. } = self.shape;
        [b, o, oh, ow]
    }

    fn run(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        forward(&self.shape, x, weight, &Epilogue { shift: bias, act: self.act, residual: None })
    }

    /// Gradients of input, weight and bias.
    fn gradients(
        &self,
        [x, weight]: [&[f32]; 2],
        (y, dy): (&[f32], &[f32]),
        wanted: [bool; 3],
    ) -> [Gradient; 3] {
        let before = activation_backward(self.act, &self.dims(), y, dy);
        let dz = before.as_deref().unwrap_or(dy);
        [
            Gradient::of(wanted[0], || input_gradient(&self.shape, dz, weight)),
            Gradient::of(wanted[1], || weight_gradient(&self.shape, x, dz)),
            Gradient::of(wanted[2], || Channels::of(&self.dims()).sums(dz)),
        ]
    }
}

impl Op<2> for Conv {
    const NAME: &'static str = "conv2d";
    type Saved = ();

    fn output(&self) -> Shape {
        self.act.shape_out(&self.dims())
    }

    fn forward(&self, [x, weight]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        (self.run(x, weight, None), ())
    }

    fn backward(&self, pass: Pass<'_, 2, ()>) -> [Gradient; 2] {
        let [x, weight] = pass.wanted;
        let [dx, dw, _] = self.gradients(pass.inputs, (pass.output, pass.gradient), [x, weight, false]);
        [dx, dw]
    }
}

impl Op<3> for Conv {
    const NAME: &'static str = "conv2d with bias";
    type Saved = ();

    fn output(&self) -> Shape {
        self.act.shape_out(&self.dims())
    }

    fn forward(&self, [x, weight, bias]: [&[f32]; 3]) -> (Vec<f32>, ()) {
        (self.run(x, weight, Some(bias)), ())
    }

    fn backward(&self, pass: Pass<'_, 3, ()>) -> [Gradient; 3] {
        let [x, weight, _] = pass.inputs;
        self.gradients([x, weight], (pass.output, pass.gradient), pass.wanted)
    }
}
