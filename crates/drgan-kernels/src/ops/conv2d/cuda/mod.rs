//! The convolution on CUDA devices: by cuDNN where it is installed, else by columns and matrix products.
mod columns;
mod library;
mod op;
mod packed;

use super::shape::{ConvShape, Padding};
use crate::cuda::launch::Arg;
use crate::cuda::product::{Factor, Product, Target};
use crate::cuda::{Buffer, Queue, View};
use candle_core::{Result, bail};
use columns::Columns;
pub(crate) use op::{before_activation, bias_gradient, convolve, finish};
pub(super) use packed::forward as forward_packed;

impl ConvShape {
    /// Sizes as kernels take them.
    ///
    /// # Errors
    /// One so large that sums of two would be none of an `int`.
    pub(crate) fn ints<const N: usize>(&self, sizes: [usize; N]) -> Result<[Arg<'static>; N]> {
        if sizes.iter().any(|n| *n > 1 << 30) {
            bail!("conv2d: sizes {sizes:?} are too large for a CUDA device")
        }
        Ok(sizes.map(|n| Arg::Int(n as u32)))
    }
}

/// `conv(x, weight)`, without a bias.
pub(crate) fn forward(queue: &Queue, g: &ConvShape, x: View<'_>, weight: View<'_>) -> Result<Buffer> {
    let mut y = queue.buffer(g.b * g.o * g.output())?;
    if is_fully_connected(g) {
        let product = Product { m: g.b, n: g.o, k: g.patch(), times: 1, add: false };
        let (a, b) = (Factor::new(x, g.patch()), Factor::new(weight, g.patch()).transposed());
        queue.product(product, a, b, whole(&mut y, g.o))?;
    } else if !library::forward(queue, g, [x, weight], &mut y)? {
        Columns::new(queue, g).forward(x, weight, &mut y)?;
    }
    Ok(y)
}

/// The gradient of `x` from `dy`, that of [`forward`]'s result.
pub(crate) fn input_gradient(queue: &Queue, g: &ConvShape, dy: View<'_>, weight: View<'_>) -> Result<Buffer> {
    let mut dx = queue.buffer(g.b * g.stored_input())?;
    if is_fully_connected(g) {
        let product = Product { m: g.b, n: g.patch(), k: g.o, times: 1, add: false };
        let (a, b) = (Factor::new(dy, g.o), Factor::new(weight, g.patch()));
        queue.product(product, a, b, whole(&mut dx, g.patch()))?;
    } else if !library::input_gradient(queue, g, [weight, dy], &mut dx)? {
        Columns::new(queue, g).input_gradient(dy, weight, &mut dx)?;
    }
    Ok(dx)
}

/// The gradient of the weight from `dy`, that of [`forward`]'s result.
pub(crate) fn weight_gradient(queue: &Queue, g: &ConvShape, x: View<'_>, dy: View<'_>) -> Result<Buffer> {
    let mut dw = queue.buffer(g.o * g.patch())?;
    if is_fully_connected(g) {
        let product = Product { m: g.o, n: g.patch(), k: g.b, times: 1, add: false };
        let (a, b) = (Factor::new(dy, g.o).transposed(), Factor::new(x, g.patch()));
        queue.product(product, a, b, whole(&mut dw, g.patch()))?;
    } else if !library::weight_gradient(queue, g, [x, dy], &mut dw)? {
        Columns::new(queue, g).weight_gradient(x, dy, &mut dw)?;
    }
    Ok(dw)
}

/// Whether the kernel is as large as the map: one matrix product over the batch.
fn is_fully_connected(g: &ConvShape) -> bool {
    (g.kh, g.kw) == (g.h, g.w) && g.padding == Padding::default() && !g.upsample
}

/// A buffer as one matrix of rows of `row` values.
fn whole(values: &mut Buffer, row: usize) -> Target<'_> {
    Target { values, from: 0, row, step: 0 }
}
