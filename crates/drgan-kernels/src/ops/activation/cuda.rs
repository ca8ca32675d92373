//! Activations of whole maps on CUDA devices.
use super::kind::Activation;
use crate::cpu::channels::Channels;
use crate::cuda::channels::{Scales, activate, gradient, sums};
use crate::cuda::launch::Arg;
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, Shape};

/// An activation of a map of `dims`.
pub(super) struct Activate {
    pub(super) act: Activation,
    pub(super) dims: Vec<usize>,
}

impl Op<1> for Activate {
    const NAME: &'static str = "activate";
    type Saved = ();

    fn output(&self) -> Shape {
        self.act.shape_out(&self.dims)
    }

    fn forward(&self, queue: &Queue, [x]: [View<'_>; 1]) -> Result<(Buffer, ())> {
        Ok((activate(queue, Channels::of(&self.dims), x, self.act, Scales::NONE, None)?, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 1, ()>) -> Result<[Gradient; 1]> {
        let dx = activation_backward(queue, self.act, &self.dims, pass.inputs[0], pass.gradient)?;
        Ok([Gradient::Values(dx)])
    }
}

/// An activation of rows of `dims` after a bias.
pub(super) struct ActivateBiased {
    pub(super) act: Activation,
    pub(super) dims: Vec<usize>,
}

impl Op<2> for ActivateBiased {
    const NAME: &'static str = "activate with a bias";
    type Saved = ();

    fn output(&self) -> Shape {
        self.act.shape_out(&self.dims)
    }

    fn forward(&self, queue: &Queue, [x, bias]: [View<'_>; 2]) -> Result<(Buffer, ())> {
        let scales = Scales::shift(bias);
        Ok((activate(queue, Channels::of(&self.dims), x, self.act, scales, None)?, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 2, ()>) -> Result<[Gradient; 2]> {
        let (channels, [x, bias]) = (Channels::of(&self.dims), pass.inputs);
        let before = match self.act {
            Activation::Identity => None,
            act => {
                let scales = Scales::shift(bias);
                Some(gradient(queue, channels, x, act, scales, [Arg::NONE; 2], pass.gradient)?)
            }
        };
        let dz = before.as_ref().map_or(pass.gradient, Buffer::view);
        let d_bias = Gradient::when(pass.wanted[1], || sums(queue, channels, dz))?;
        Ok([before.map_or(Gradient::OfOutput, Gradient::Values), d_bias])
    }
}

/// The gradient before `act` from `dy`, that of its output. `z` is the activation's input or, where the
/// [gradient follows from it](Activation::gradient_from_output), its output.
pub(crate) fn activation_backward(
    queue: &Queue,
    act: Activation,
    dims: &[usize],
    z: View<'_>,
    dy: View<'_>,
) -> Result<Buffer> {
    gradient(queue, Channels::of(dims), z, act, Scales::NONE, [Arg::NONE; 2], dy)
}
