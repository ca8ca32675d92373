use crate::cpu::rows;
use crate::cpu::{SharedSlice, fill_uninit, is_fast, slice, with_scratch, with_values};
use crate::ops::conv2d::reference::{every_nth, patches};
use crate::ops::conv2d::shape::Conv2dSpec;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Max pooling without padding. Where several pixels of a window are the largest, the first has the gradient.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; result: `(B, C, (H - kernel) / stride + 1, (W - kernel) / stride + 1)`.
///
/// # Errors
/// The window does not fit.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    if !is_fast(x) {
        return reference_max(x, kernel, stride);
    }
    x.contiguous()?.apply_op1(Max(Window::new(x, kernel, stride, 0)?))
}

/// Average pooling; zeros of the padding count as pixels (PyTorch's `count_include_pad`).
///
/// # Shapes
/// `x`: `(B, C, H, W)`; result: `(B, C, (H + 2 padding - kernel) / stride + 1, ...)`.
///
/// # Errors
/// The window does not fit.
pub fn avg_pool2d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    if !is_fast(x) {
        return reference_avg(x, kernel, stride, padding);
    }
    x.contiguous()?.apply_op1(Average(Window::new(x, kernel, stride, padding)?))
}

/// The sizes of a pooling.
#[derive(Clone, Copy, Debug)]
struct Window {
    maps: (usize, usize),
    side: (usize, usize),
    out: (usize, usize),
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Window {
    fn new(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Self> {
        let (b, c, h, w) = x.dims4()?;
        let out = Conv2dSpec::new(stride, padding).output_size((h, w), (kernel, kernel))?;
        Ok(Self { maps: (b, c), side: (h, w), out, kernel, stride, padding })
    }

    /// Runs `f(input map, output map)` for every map, and gives all outputs.
    ///
    /// # Safety
    /// `f` writes all of its output map, and reads nothing of it before.
    unsafe fn each(
        &self,
        input: (&[f32], usize),
        output: usize,
        f: impl Fn(&[f32], &mut [f32]) + Sync,
    ) -> Vec<f32> {
        let maps = self.maps.0 * self.maps.1;
        let one = |out: &SharedSlice, i: usize| {
            // SAFETY: each map is its task's own.
            f(&input.0[i * input.1..][..input.1], unsafe { out.slice_mut(i * output, output) });
        };
        // SAFETY: every map is written, by the caller's promise.
        unsafe {
            fill_uninit(maps * output, |out| {
                (0..maps).into_par_iter().with_min_len(4).for_each(|i| one(&out, i));
            })
        }
    }

    /// Pixels of an input and of an output map.
    fn pixels(&self) -> (usize, usize) {
        (self.side.0 * self.side.1, self.out.0 * self.out.1)
    }

    /// `f` on all outputs of `x`.
    ///
    /// # Safety
    /// As [`Window::each`].
    unsafe fn forward(
        &self,
        (x, layout): (&CpuStorage, &Layout),
        f: impl Fn(&[f32], &mut [f32]) + Sync,
    ) -> Result<(CpuStorage, Shape)> {
        let (inp, out) = self.pixels();
        // SAFETY: the caller's promise.
        let y = unsafe { self.each((slice(x, layout)?, inp), out, f) };
        Ok((CpuStorage::F32(y), (self.maps.0, self.maps.1, self.out.0, self.out.1).into()))
    }
}

struct Max(Window);

impl Max {
    /// Maxima down the columns of a window first, whole rows at a time, then along the row.
    fn forward(&self, x: &[f32], y: &mut [f32]) {
        let Window { side: (_, w), out: (_, ow), kernel, stride, .. } = self.0;
        with_scratch(w, |column| {
            for (oy, y) in y.chunks_exact_mut(ow).enumerate() {
                let mut rows = x.chunks_exact(w).skip(oy * stride).take(kernel);
                column.copy_from_slice(rows.next().unwrap_or_default());
                rows.for_each(|row| rows::max_row(row, column));
                for (ox, y) in y.iter_mut().enumerate() {
                    let taps = &column[ox * stride..][..kernel];
                    *y = taps[1..].iter().fold(taps[0], |m, v| if *v > m || v.is_nan() { *v } else { m });
                }
            }
        });
    }

    fn backward(&self, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let Window { side: (_, w), out: (_, ow), kernel, stride, .. } = self.0;
        dx.fill(0.);
        for (o, dy) in dy.iter().enumerate() {
            let corner = o / ow * stride * w + o % ow * stride;
            let (mut best, mut at) = (x[corner], corner);
            for row in 0..kernel {
                let start = corner + row * w;
                for (i, v) in x[start..][..kernel].iter().enumerate() {
                    if *v > best {
                        (best, at) = (*v, start + i);
                    }
                }
            }
            dx[at] += dy;
        }
    }
}

impl CustomOp1 for Max {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        // SAFETY: every output is assigned.
        unsafe { self.0.forward((x, layout), |x, y| self.forward(x, y)) }
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        let (inp, out) = self.0.pixels();
        let dx = with_values([x, &dy], |[x, dy]| {
            let maps = x.par_chunks_exact(inp).zip(dy.par_chunks_exact(out)).enumerate().with_min_len(4);
            // SAFETY: each map is its task's own, and is filled before it is read.
            Ok(unsafe {
                fill_uninit(x.len(), |dx| {
                    maps.for_each(|(i, (x, dy))| self.backward(x, dy, dx.slice_mut(i * inp, inp)));
                })
            })
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), &Device::Cpu)?))
    }
}

struct Average(Window);

impl Average {
    fn share(&self) -> f32 {
        1. / (self.0.kernel * self.0.kernel) as f32
    }

    /// Rows of the map that output row `oy` looks at.
    fn rows(&self, oy: usize) -> std::ops::Range<usize> {
        let Window { side: (h, _), kernel, stride, padding, .. } = self.0;
        let from = oy * stride;
        from.saturating_sub(padding)..(from + kernel).saturating_sub(padding).min(h)
    }

    fn forward(&self, x: &[f32], y: &mut [f32]) {
        let Window { side: (_, w), out: (_, ow), kernel, stride, padding, .. } = self.0;
        with_scratch(w + 2 * padding, |sums| {
            for (oy, y) in y.chunks_exact_mut(ow).enumerate() {
                sums.fill(0.);
                for row in self.rows(oy) {
                    rows::add_row(&x[row * w..][..w], 1., &mut sums[padding..][..w]);
                }
                for (ox, y) in y.iter_mut().enumerate() {
                    *y = sums[ox * stride..][..kernel].iter().sum::<f32>() * self.share();
                }
            }
        });
    }

    fn backward(&self, dy: &[f32], dx: &mut [f32]) {
        let Window { side: (_, w), out: (_, ow), kernel, stride, padding, .. } = self.0;
        dx.fill(0.);
        with_scratch(w + 2 * padding, |spread| {
            for (oy, dy) in dy.chunks_exact(ow).enumerate() {
                spread.fill(0.);
                for (ox, dy) in dy.iter().enumerate() {
                    spread[ox * stride..][..kernel].iter_mut().for_each(|s| *s += dy);
                }
                for row in self.rows(oy) {
                    rows::add_row(&spread[padding..][..w], self.share(), &mut dx[row * w..][..w]);
                }
            }
        });
    }
}

impl CustomOp1 for Average {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        // SAFETY: every output is assigned.
        unsafe { self.0.forward((x, layout), |x, y| self.forward(x, y)) }
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        let (inp, out) = self.0.pixels();
        // SAFETY: a map is filled before it is read.
        let dx = with_values([&dy], |[dy]| {
            Ok(unsafe { self.0.each((dy, out), inp, |dy, dx| self.backward(dy, dx)) })
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), &Device::Cpu)?))
    }
}

/// Plain-tensor form of [`max_pool2d`]; equal largest pixels share the gradient.
pub fn reference_max(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let (oh, ow) = Conv2dSpec::new(stride, 0).output_size((h, w), (kernel, kernel))?;
    let mut best: Option<Tensor> = None;
    for (i, j) in (0..kernel).flat_map(|i| (0..kernel).map(move |j| (i, j))) {
        let shifted = every_nth(&every_nth(x, 2, i, stride, oh)?, 3, j, stride, ow)?;
        best = Some(match best {
            Some(b) => b.maximum(&shifted)?,
            None => shifted,
        });
    }
    match best {
        Some(b) => Ok(b),
        None => bail!("max_pool2d: kernel is 0"),
    }
}

/// Plain-tensor form of [`avg_pool2d`].
pub fn reference_avg(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let spec = Conv2dSpec::new(stride, padding);
    let (oh, ow) = spec.output_size((h, w), (kernel, kernel))?;
    patches(x, (kernel, kernel), spec, (oh, ow))?.mean(2)?.reshape((b, c, oh, ow))
}
