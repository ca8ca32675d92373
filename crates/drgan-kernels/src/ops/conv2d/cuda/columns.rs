//! Convolution as a matrix of columns (im2col) and a product: see conv2d.cu. The matrix is never larger than [`LIMIT`] unless
//! one row of output pixels is: some images at a time, or some rows of one.
use crate::cuda::launch::{Arg, Grid, args};
use crate::cuda::product::{Factor, Product, Target};
use crate::cuda::{Buffer, Queue, View};
use crate::ops::conv2d::shape::{ConvShape, Panel};
use candle_core::Result;

/// The largest matrix of columns, in values: 256 MiB.
const LIMIT: usize = 1 << 26;
/// The most images at a time: a grid's second axis.
const IMAGES: usize = 65_535;

/// The output pixels whose columns are there at a time.
fn panels(g: &ConvShape, limit: usize) -> Vec<Panel> {
    let image = g.patch() * g.output();
    if image > limit {
        return Panel::bands(g.b, g.oh, (limit / (g.patch() * g.ow)).max(1));
    }
    let images = (limit / image).min(IMAGES);
    let group = |image| Panel { image, images: images.min(g.b - image), row: 0, rows: g.oh };
    (0..g.b).step_by(images).map(group).collect()
}

/// The sizes as kernels take them.
fn sizes(g: &ConvShape) -> Result<[Arg<'static>; 11]> {
    let up = 1 + usize::from(g.upsample);
    let p = g.padding;
    g.ints([g.c, g.h, g.w, g.kh, g.kw, g.stride, p.top, p.left, g.oh, g.ow, up])
}

/// Pixels of a panel's image.
fn pixels(g: &ConvShape, panel: Panel) -> usize {
    panel.rows * g.ow
}

/// What the taps read, `(images, taps, pixels)` or, `by_tap`, `(taps, images, pixels)`.
fn columns(queue: &Queue, g: &ConvShape, x: View<'_>, panel: Panel, by_tap: bool) -> Result<Buffer> {
    let (taps, pixels) = (g.patch(), pixels(g, panel));
    let mut columns = queue.buffer(panel.images * taps * pixels)?;
    let (image_step, tap_step) =
        if by_tap { (pixels, panel.images * pixels) } else { (taps * pixels, pixels) };
    let x = Arg::from(x).after(panel.image * g.stored_input());
    let rows = args![panel.row as u32, panel.rows as u32, image_step, tap_step];
    let args = [args![x, &mut columns], sizes(g)?.as_slice(), rows].concat();
    queue.launch("conv_columns", Grid::threads(taps * pixels).times(panel.images), &args)?;
    Ok(columns)
}

/// `conv(x, weight)`.
pub(super) fn forward(
    queue: &Queue,
    g: &ConvShape,
    x: View<'_>,
    weight: View<'_>,
    y: &mut Buffer,
) -> Result<()> {
    for panel in panels(g, LIMIT) {
        let (taps, pixels) = (g.patch(), pixels(g, panel));
        let made = if g.is_pointwise() { None } else { Some(columns(queue, g, x, panel, false)?) };
        let columns = match &made {
            Some(made) => Factor::new(made.view(), pixels),
            // The map is its own columns.
            None => Factor::new(x, g.output()).from(panel.image * g.input() + panel.row * g.ow),
        };
        let product = Product { m: g.o, n: pixels, k: taps, times: panel.images, add: false };
        let target = Target { values: y, from: first(g, panel), row: g.output(), step: g.o * g.output() };
        queue.product(product, Factor::new(weight, taps), columns.every(taps * pixels), target)?;
    }
    Ok(())
}

/// Where a panel's pixels begin in the result.
fn first(g: &ConvShape, panel: Panel) -> usize {
    panel.image * g.o * g.output() + panel.row * g.ow
}

/// The gradient of `x`.
pub(super) fn input_gradient(
    queue: &Queue,
    g: &ConvShape,
    dy: View<'_>,
    weight: View<'_>,
    dx: &mut Buffer,
) -> Result<()> {
    for panel in panels(g, LIMIT) {
        let (taps, pixels) = (g.patch(), pixels(g, panel));
        let product = Product { m: taps, n: pixels, k: g.o, times: panel.images, add: false };
        let weight = Factor::new(weight, taps).transposed();
        let of_y = Factor::new(dy, g.output()).from(first(g, panel)).every(g.o * g.output());
        if g.is_pointwise() {
            let from = panel.image * g.input() + panel.row * g.ow;
            let target = Target { values: &mut *dx, from, row: g.output(), step: g.input() };
            queue.product(product, weight, of_y, target)?;
            continue;
        }
        let mut columns = queue.buffer(panel.images * taps * pixels)?;
        let target = Target { values: &mut columns, from: 0, row: pixels, step: taps * pixels };
        queue.product(product, weight, of_y, target)?;
        let to = Arg::from(&mut *dx).after(panel.image * g.stored_input());
        let rows = args![panel.row as u32, panel.rows as u32, panel.row > 0];
        let args = [args![columns.view(), to], sizes(g)?.as_slice(), rows].concat();
        queue.launch("conv_from_columns", Grid::threads(g.stored_input()).times(panel.images), &args)?;
    }
    Ok(())
}

/// The gradient of the weight: columns and gradients by channel, so that one product sums over pixels and images.
pub(super) fn weight_gradient(
    queue: &Queue,
    g: &ConvShape,
    x: View<'_>,
    dy: View<'_>,
    dw: &mut Buffer,
) -> Result<()> {
    for (i, panel) in panels(g, LIMIT).into_iter().enumerate() {
        let (taps, pixels) = (g.patch(), pixels(g, panel));
        let all = panel.images * pixels;
        let columns = columns(queue, g, x, panel, true)?;
        let mut of_y = queue.buffer(g.o * all)?;
        let of_panel = Arg::from(dy).after(panel.image * g.o * g.output());
        let args = args![of_panel, &mut of_y, g.o, g.output(), panel.row * g.ow, pixels];
        queue.launch("conv_by_channel", Grid::threads(g.o * pixels).times(panel.images), args)?;
        let product = Product { m: g.o, n: taps, k: all, times: 1, add: i > 0 };
        let (a, b) = (Factor::new(of_y.view(), all), Factor::new(columns.view(), all).transposed());
        let target = Target { values: &mut *dw, from: 0, row: taps, step: 0 };
        queue.product(product, a, b, target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::shape::Conv2dSpec;

    #[test]
    fn panels_cover_every_pixel_once_and_stay_below_the_limit() {
        for (b, side, stride, limit) in
            [(5, 8, 1, 9 * 4 * 64), (5, 8, 1, 9 * 4 * 150), (2, 9, 2, 9 * 4 * 11), (1, 9, 1, 1)]
        {
            let g = ConvShape::of_sides((b, side, side), (3, 4, 3, 3), Conv2dSpec::new(stride, 1), false)
                .expect("a shape");
            let panels = panels(&g, limit);
            let mut covered = vec![0; b * g.oh];
            for panel in &panels {
                assert!(panel.images * g.patch() * pixels(&g, *panel) <= limit.max(g.patch() * g.ow));
                for (image, row) in (0..panel.images).flat_map(|i| (0..panel.rows).map(move |r| (i, r))) {
                    covered[(panel.image + image) * g.oh + panel.row + row] += 1;
                }
                assert!(panel.images == 1 || panel.rows == g.oh);
            }
            assert!(covered.iter().all(|times| *times == 1), "{panels:?}");
        }
    }
}
