//! Activations of whole maps.
use super::kind::Activation;
use crate::cpu::channels::Channels;
use crate::cpu::rows::affine::Affine;
use crate::op::{Gradient, Op, Pass};
use candle_core::Shape;

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

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        (Channels::of(&self.dims).activate(x, self.act, &|_| Affine::IDENTITY, None), ())
    }

    fn backward(&self, pass: Pass<'_, 1, ()>) -> [Gradient; 1] {
        let ([x], channels) = (pass.inputs, Channels::of(&self.dims));
        [Gradient::Values(channels.gradient(x, self.act, &|_| Affine::IDENTITY, pass.gradient, &|_, _| ()))]
    }
}

/// The gradient before `act` from `dy`, that of its output `y`, for activations whose
/// [gradient follows from the output](Activation::gradient_from_output); `None` if it is `dy` itself.
pub(crate) fn activation_backward(
    act: Activation,
    dims: &[usize],
    y: &[f32],
    dy: &[f32],
) -> Option<Vec<f32>> {
    let before = || Channels::of(dims).gradient(y, act, &|_| Affine::IDENTITY, dy, &|_, _| ());
    (act != Activation::Identity).then(before)
}
