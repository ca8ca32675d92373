//! Convolution by cuDNN, whose padding is the same on opposite sides: other maps are padded, and upsampled ones made, before.
use crate::cuda::convolution::{Geometry, Pass};
use crate::cuda::launch::{Arg, Grid, args};
use crate::cuda::{Buffer, Queue, View};
use crate::ops::conv2d::shape::ConvShape;
use candle_core::Result;

/// A convolution as cuDNN is asked for it.
struct Plan {
    geometry: Geometry,
    /// How the map that cuDNN reads is made from the one in memory, if it is another.
    spread: Option<Spread>,
}

/// A map of `h` by `w`, each pixel `up` times in both directions, with zeros around it.
struct Spread {
    maps: usize,
    from: [usize; 2],
    to: [usize; 2],
    /// Rows above and columns on the left.
    before: [usize; 2],
    up: usize,
}

impl Plan {
    fn new(g: &ConvShape) -> Self {
        let p = g.padding;
        // A padding wider than the kernel is nothing that anybody else has; cuDNN may be wrong about it.
        let even = p.top == p.bottom && p.left == p.right && p.top < g.kh && p.left < g.kw;
        let padding = if even { [p.top, p.left] } else { [0, 0] };
        let to = if even { [g.h, g.w] } else { [g.h + p.top + p.bottom, g.w + p.left + p.right] };
        let up = 1 + usize::from(g.upsample);
        let geometry = Geometry {
            x: [g.b, g.c, to[0], to[1]],
            w: [g.o, g.c, g.kh, g.kw],
            y: [g.b, g.o, g.oh, g.ow],
            padding,
            stride: g.stride,
        };
        let spread = Spread {
            maps: g.b * g.c,
            from: [g.h / up, g.w / up],
            to,
            before: [p.top - padding[0], p.left - padding[1]],
            up,
        };
        Self { geometry, spread: (spread.from != spread.to).then_some(spread) }
    }

    /// The map that cuDNN reads, if it has to be made.
    fn map(&self, queue: &Queue, g: &ConvShape, x: View<'_>) -> Result<Option<Buffer>> {
        let Some(spread) = &self.spread else { return Ok(None) };
        let n = spread.maps * spread.to[0] * spread.to[1];
        let mut y = queue.buffer(n)?;
        let args = [args![x, &mut y], spread.args(g)?.as_slice()].concat();
        queue.launch("conv_spread", Grid::threads(n), &args)?;
        Ok(Some(y))
    }
}

impl Spread {
    /// The sizes, as both kernels take them.
    fn args(&self, g: &ConvShape) -> Result<Vec<Arg<'static>>> {
        let ([h, w], [ph, pw], [top, left]) = (self.from, self.to, self.before);
        Ok([args![self.maps], g.ints([h, w, ph, pw, top, left, self.up])?.as_slice()].concat())
    }
}

/// `conv(x, weight)`, from `[x, weight]`; false where cuDNN is not used.
pub(super) fn forward(
    queue: &Queue,
    g: &ConvShape,
    [x, weight]: [View<'_>; 2],
    y: &mut Buffer,
) -> Result<bool> {
    if !queue.convolves()? {
        return Ok(false);
    }
    let plan = Plan::new(g);
    let map = plan.map(queue, g, x)?;
    let x = map.as_ref().map_or(x, Buffer::view);
    queue.convolve(Pass::Forward, &plan.geometry, [x, weight], y)
}

/// The gradient of `x`, from `[weight, dy]`; false where cuDNN is not used.
pub(super) fn input_gradient(
    queue: &Queue,
    g: &ConvShape,
    inputs: [View<'_>; 2],
    dx: &mut Buffer,
) -> Result<bool> {
    if !queue.convolves()? {
        return Ok(false);
    }
    let plan = Plan::new(g);
    let Some(spread) = &plan.spread else {
        return queue.convolve(Pass::Input, &plan.geometry, inputs, dx);
    };
    let mut of_map = queue.buffer(spread.maps * spread.to[0] * spread.to[1])?;
    if !queue.convolve(Pass::Input, &plan.geometry, inputs, &mut of_map)? {
        return Ok(false);
    }
    let n = spread.maps * spread.from[0] * spread.from[1];
    let args = [args![of_map.view(), dx], spread.args(g)?.as_slice()].concat();
    queue.launch("conv_spread_backward", Grid::threads(n), &args)?;
    Ok(true)
}

/// The gradient of the weight, from `[x, dy]`; false where cuDNN is not used.
pub(super) fn weight_gradient(
    queue: &Queue,
    g: &ConvShape,
    [x, dy]: [View<'_>; 2],
    dw: &mut Buffer,
) -> Result<bool> {
    if !queue.convolves()? {
        return Ok(false);
    }
    let plan = Plan::new(g);
    let map = plan.map(queue, g, x)?;
    let x = map.as_ref().map_or(x, Buffer::view);
    queue.convolve(Pass::Weight, &plan.geometry, [x, dy], dw)
}
