//! The joint convolution on CUDA devices: a convolution of the joined map, which one kernel makes. See joint.cu.
use crate::cuda::launch::{Grid, args};
use crate::cuda::op::{Gradient, Op, Pass, with_views};
use crate::cuda::{Buffer, Queue, View};
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::cuda::{
    before_activation, bias_gradient, finish, forward, input_gradient, weight_gradient,
};
use crate::ops::conv2d::shape::ConvShape;
use candle_core::{Result, Shape, Tensor};

/// A convolution of maps joined to constant vectors. Its inputs are the maps, the weight and the bias.
pub(super) struct Joint {
    /// Sizes of the map's part.
    pub(super) shape: ConvShape,
    /// The vectors, one per image, `(B, D)`, contiguous.
    pub(super) vectors: Tensor,
    /// Number of values per vector.
    pub(super) d: usize,
    pub(super) act: Activation,
}

impl Joint {
    /// Sizes of the convolution of the joined map.
    fn joined(&self) -> ConvShape {
        ConvShape { c: self.shape.c + self.d, ..self.shape }
    }

    fn map(&self, queue: &Queue, x: View<'_>) -> Result<Buffer> {
        let (g, joined) = (&self.shape, self.joined());
        let n = g.b * joined.input();
        let mut y = queue.buffer(n)?;
        with_views([&self.vectors], |queue, [vectors]: [View<'_>; 1]| {
            let args = args![x, vectors, &mut y, g.b, g.c, self.d, g.h * g.w];
            queue.launch("joint_map", Grid::threads(n), args)
        })?;
        Ok(y)
    }

    /// The gradient of the map: that of its own channels.
    fn map_gradient(&self, queue: &Queue, dz: View<'_>, weight: View<'_>) -> Result<Buffer> {
        let (g, joined) = (&self.shape, self.joined());
        let n = g.o * g.patch();
        let mut of_map = queue.buffer(n)?;
        let args = args![weight, &mut of_map, g.o, joined.patch(), g.patch()];
        queue.launch("joint_first", Grid::threads(n), args)?;
        input_gradient(queue, g, dz, of_map.view())
    }
}

impl Op<3> for Joint {
    const NAME: &'static str = "joint_conv2d";
    type Saved = ();

    fn output(&self) -> Shape {
        let ConvShape { b, o, oh, ow, .. } = self.shape;
        (b, o, oh, ow).into()
    }

    fn forward(&self, queue: &Queue, [x, weight, bias]: [View<'_>; 3]) -> Result<(Buffer, ())> {
        let (map, joined) = (self.map(queue, x)?, self.joined());
        let z = forward(queue, &joined, map.view(), weight)?;
        Ok((finish(queue, &joined, z, (Some(bias), self.act), None)?, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 3, ()>) -> Result<[Gradient; 3]> {
        let ([x, weight, _], joined) = (pass.inputs, self.joined());
        let before = before_activation(queue, &joined, self.act, pass.output, pass.gradient)?;
        let dz = before.as_ref().map_or(pass.gradient, Buffer::view);
        Ok([
            Gradient::when(pass.wanted[0], || self.map_gradient(queue, dz, weight))?,
            Gradient::when(pass.wanted[1], || {
                weight_gradient(queue, &joined, self.map(queue, x)?.view(), dz)
            })?,
            Gradient::when(pass.wanted[2], || bias_gradient(queue, &joined, dz))?,
        ])
    }
}
