//! Convolution as a matrix of columns (im2col) and a product: see conv2d.cu. The matrix is never larger than a limit unless one
//! row of output pixels is: it is made for some images at a time, or for some rows of one.
use crate::cuda::launch::{Arg, Grid, args};
use crate::cuda::product::{Factor, Product, Target};
use crate::cuda::{Buffer, Queue, View};
use crate::ops::conv2d::shape::{ConvShape, Panel};
use candle_core::Result;

/// The largest matrix of columns, in values: 256 MiB.
const LIMIT: usize = 1 << 26;
/// The most images at a time: a grid's second axis.
const IMAGES: usize = 65_535;

/// A convolution of these sizes.
pub(super) struct Columns<'a> {
    queue: &'a Queue,
    g: &'a ConvShape,
    limit: usize,
}

impl<'a> Columns<'a> {
    pub(super) fn new(queue: &'a Queue, g: &'a ConvShape) -> Self {
        Self { queue, g, limit: LIMIT }
    }

    /// `conv(x, weight)`.
    pub(super) fn forward(&self, x: View<'_>, weight: View<'_>, y: &mut Buffer) -> Result<()> {
        let (g, taps) = (self.g, self.g.patch());
        for panel in panels(g, self.limit) {
            let pixels = pixels(g, panel);
            let made = if g.is_pointwise() { None } else { Some(self.of_map(x, panel, false)?) };
            let columns = match &made {
                Some(made) => Factor::new(made.view(), pixels).every(taps * pixels),
                // The map is its own columns.
                None => Factor::new(x, g.output()).from(from_input(g, panel)).every(g.input()),
            };
            let product = Product { m: g.o, n: pixels, k: taps, times: panel.images, add: false };
            let to =
                Target { values: y, from: from_output(g, panel), row: g.output(), step: g.o * g.output() };
            self.queue.product(product, Factor::new(weight, taps), columns, to)?;
        }
        Ok(())
    }

    /// The gradient of `x`.
    pub(super) fn input_gradient(&self, dy: View<'_>, weight: View<'_>, dx: &mut Buffer) -> Result<()> {
        let (g, taps) = (self.g, self.g.patch());
        for panel in panels(g, self.limit) {
            let pixels = pixels(g, panel);
            let product = Product { m: taps, n: pixels, k: g.o, times: panel.images, add: false };
            let weight = Factor::new(weight, taps).transposed();
            let of_y = Factor::new(dy, g.output()).from(from_output(g, panel)).every(g.o * g.output());
            if g.is_pointwise() {
                let from = from_input(g, panel);
                let to = Target { values: &mut *dx, from, row: g.output(), step: g.input() };
                self.queue.product(product, weight, of_y, to)?;
                continue;
            }
            let mut columns = self.queue.buffer(panel.images * taps * pixels)?;
            let to = Target { values: &mut columns, from: 0, row: pixels, step: taps * pixels };
            self.queue.product(product, weight, of_y, to)?;
            let to = Arg::from(&mut *dx).after(panel.image * g.stored_input());
            let rows = args![panel.row as u32, panel.rows as u32, panel.row > 0];
            let args = [args![columns.view(), to], self.sizes()?.as_slice(), rows].concat();
            let grid = Grid::threads(g.stored_input()).times(panel.images);
            self.queue.launch("conv_from_columns", grid, &args)?;
        }
        Ok(())
    }

    /// The gradient of the weight: columns and gradients by channel, so that one product sums over pixels and images.
    pub(super) fn weight_gradient(&self, x: View<'_>, dy: View<'_>, dw: &mut Buffer) -> Result<()> {
        let (g, taps) = (self.g, self.g.patch());
        for (i, panel) in panels(g, self.limit).into_iter().enumerate() {
            let pixels = pixels(g, panel);
            let all = panel.images * pixels;
            let columns = self.of_map(x, panel, true)?;
            let mut of_y = self.queue.buffer(g.o * all)?;
            let of_panel = Arg::from(dy).after(panel.image * g.o * g.output());
            let args = args![of_panel, &mut of_y, g.o, g.output(), panel.row * g.ow, pixels];
            let grid = Grid::threads(g.o * pixels).times(panel.images);
            self.queue.launch("conv_by_channel", grid, args)?;
            let product = Product { m: g.o, n: taps, k: all, times: 1, add: i > 0 };
            let (a, b) = (Factor::new(of_y.view(), all), Factor::new(columns.view(), all).transposed());
            let to = Target { values: &mut *dw, from: 0, row: taps, step: 0 };
            self.queue.product(product, a, b, to)?;
        }
        Ok(())
    }

    /// What the taps read, `(images, taps, pixels)` or, `by_tap`, `(taps, images, pixels)`.
    fn of_map(&self, x: View<'_>, panel: Panel, by_tap: bool) -> Result<Buffer> {
        let (taps, pixels) = (self.g.patch(), pixels(self.g, panel));
        let mut columns = self.queue.buffer(panel.images * taps * pixels)?;
        let (image_step, tap_step) =
            if by_tap { (pixels, panel.images * pixels) } else { (taps * pixels, pixels) };
        let x = Arg::from(x).after(panel.image * self.g.stored_input());
        let rows = args![panel.row as u32, panel.rows as u32, image_step, tap_step];
        let args = [args![x, &mut columns], self.sizes()?.as_slice(), rows].concat();
        self.queue.launch("conv_columns", Grid::threads(taps * pixels).times(panel.images), &args)?;
        Ok(columns)
    }

    /// The sizes as kernels take them.
    fn sizes(&self) -> Result<[Arg<'static>; 11]> {
        let (g, p) = (self.g, self.g.padding);
        let up = 1 + usize::from(g.upsample);
        g.ints([g.c, g.h, g.w, g.kh, g.kw, g.stride, p.top, p.left, g.oh, g.ow, up])
    }
}

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

/// Pixels of a panel's image.
fn pixels(g: &ConvShape, panel: Panel) -> usize {
    panel.rows * g.ow
}

/// Where a panel's pixels begin in the result.
fn from_output(g: &ConvShape, panel: Panel) -> usize {
    panel.image * g.o * g.output() + panel.row * g.ow
}

/// Where they begin in the map, if each output pixel reads one input pixel.
fn from_input(g: &ConvShape, panel: Panel) -> usize {
    panel.image * g.input() + panel.row * g.ow
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::op::with_views;
    use crate::ops::conv2d::shape::Conv2dSpec;
    use crate::ops::tests::common::{assert_near_largest, device, random};
    use candle_core::Tensor;

    fn shape(b: usize, (h, w): (usize, usize), kernel: usize, stride: usize, upsample: bool) -> ConvShape {
        let spec = Conv2dSpec::new(stride, kernel / 2);
        ConvShape::of_sides((b, h, w), (3, 4, kernel, kernel), spec, upsample).expect("a shape")
    }

    #[test]
    fn panels_cover_every_pixel_once_and_stay_below_the_limit() {
        for (g, limit) in [
            (shape(5, (8, 8), 3, 1, false), 36 * 64),
            (shape(5, (8, 8), 3, 1, false), 36 * 150),
            (shape(2, (9, 9), 3, 2, false), 36 * 11),
            (shape(1, (9, 9), 3, 1, false), 1),
        ] {
            let panels = panels(&g, limit);
            let mut covered = vec![0; g.b * g.oh];
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

    /// Result and both gradients with columns of at most `limit` values.
    fn passes(g: &ConvShape, limit: usize) -> Result<[Tensor; 3]> {
        let up = 1 + usize::from(g.upsample);
        let (x, weight) = (random(&[g.b, g.c, g.h / up, g.w / up], 1), random(&[g.o, g.c, g.kh, g.kw], 2));
        let dy = random(&[g.b, g.o, g.oh, g.ow], 3);
        let [x, weight, dy] =
            [x, weight, dy].map(|t| t.to_device(&device()).expect("a tensor on the device"));
        with_views([&x, &weight, &dy], |queue, [of_x, of_weight, of_y]| {
            let columns = Columns { queue, g, limit };
            let (mut y, mut dx, mut dw) =
                (queue.buffer(of_y.len())?, queue.buffer(of_x.len())?, queue.buffer(of_weight.len())?);
            columns.forward(of_x, of_weight, &mut y)?;
            columns.input_gradient(of_y, of_weight, &mut dx)?;
            columns.weight_gradient(of_x, of_y, &mut dw)?;
            Ok([queue.tensor(y, dy.shape()), queue.tensor(dx, x.shape()), queue.tensor(dw, weight.shape())])
        })
    }

    #[test]
    fn images_and_rows_at_a_time_give_what_all_at_once_gives() {
        if device().is_cpu() {
            return;
        }
        for (kernel, stride, upsample) in [(3, 1, false), (4, 2, false), (3, 1, true), (1, 1, false)] {
            let g = shape(5, (7, 6), kernel, stride, upsample);
            let whole = passes(&g, LIMIT).expect("all at once");
            let image = g.patch() * g.output();
            for limit in [2 * image, image, image - 1, 2 * g.patch() * g.ow, 1] {
                let parts = passes(&g, limit).expect("a part at a time");
                for (pass, (part, whole)) in parts.iter().zip(&whole).enumerate() {
                    let what = format!("pass {pass} of {g:?}, {limit} values at a time");
                    assert_near_largest(&what, part, whole, 1e-5);
                }
            }
        }
    }
}
