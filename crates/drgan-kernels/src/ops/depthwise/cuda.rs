//! Depth-wise convolution on CUDA devices: see depthwise.cu.
use crate::cuda::launch::{Arg, Grid, args};
use crate::cuda::op::{Gradient, Op, Pass};
use crate::cuda::{Buffer, Queue, View};
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::shape::ConvShape;
use candle_core::{Result, Shape};

/// A depth-wise convolution whose weight and bias are constants.
pub(super) struct Depthwise {
    pub(super) shape: ConvShape,
    pub(super) act: Activation,
}

impl Depthwise {
    /// Sizes and activation, as both kernels take them.
    fn args(&self) -> Result<Vec<Arg<'static>>> {
        let g = &self.shape;
        let p = g.padding;
        let sizes = g.ints([g.c, g.h, g.w, g.kh, g.kw, g.stride, p.top, p.left, g.oh, g.ow])?;
        Ok([args![g.b * g.c], sizes.as_slice(), self.act.args().as_slice()].concat())
    }
}

impl Op<3> for Depthwise {
    const NAME: &'static str = "depthwise_conv2d";
    type Saved = ();

    fn output(&self) -> Shape {
        let ConvShape { b, o, oh, ow, .. } = self.shape;
        (b, o, oh, ow).into()
    }

    fn forward(&self, queue: &Queue, [x, weight, bias]: [View<'_>; 3]) -> Result<(Buffer, ())> {
        let n = self.output().elem_count();
        let mut y = queue.buffer(n)?;
        let args = [args![x, weight, bias, &mut y], self.args()?.as_slice()].concat();
        queue.launch("depthwise_forward", Grid::threads(n), &args)?;
        Ok((y, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 3, ()>) -> Result<[Gradient; 3]> {
        let ([_, weight, _], n) = (pass.inputs, self.shape.b * self.shape.input());
        let mut dx = queue.buffer(n)?;
        let args = [args![weight, pass.output, pass.gradient, &mut dx], self.args()?.as_slice()].concat();
        queue.launch("depthwise_backward", Grid::threads(n), &args)?;
        Ok([Gradient::Values(dx), Gradient::None, Gradient::None])
    }
}
