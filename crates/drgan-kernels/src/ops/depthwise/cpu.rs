//! Depth-wise convolution as a direct convolution in groups of one channel.
use crate::cpu::simd::Isa;
use crate::op::{Gradient, Op, Pass};
use crate::ops::activation::cpu::activation_backward;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::cpu::direct;
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::shape::ConvShape;
use candle_core::Shape;

/// A depth-wise convolution whose weight and bias are constants.
pub(super) struct Depthwise {
    pub(super) shape: ConvShape,
    pub(super) act: Activation,
}

impl Op<3> for Depthwise {
    const NAME: &'static str = "depthwise_conv2d";
    type Saved = ();

    fn output(&self) -> Shape {
        let ConvShape { b, o, oh, ow, .. } = self.shape;
        (b, o, oh, ow).into()
    }

    fn forward(&self, [x, weight, bias]: [&[f32]; 3]) -> (Vec<f32>, ()) {
        let shape = &self.shape;
        let epilogue = Epilogue { shift: Some(bias), act: self.act, residual: None };
        (direct::forward(Isa::best(), shape, shape.c, x, weight, &epilogue), ())
    }

    fn backward(&self, pass: Pass<'_, 3, ()>) -> [Gradient; 3] {
        let [_, weight, _] = pass.inputs;
        let before = activation_backward(self.act, self.output().dims(), pass.output, pass.gradient);
        let dz = before.as_deref().unwrap_or(pass.gradient);
        let dx = direct::input_gradient(Isa::best(), &self.shape, self.shape.c, dz, weight);
        [Gradient::Values(dx), Gradient::None, Gradient::None]
    }
}
