#[cfg(target_arch = "x86_64")]
mod amx;
pub(crate) mod direct;
mod epilogue;
pub(crate) mod im2col;
mod joint;
pub(crate) mod method;
mod minimal;
mod op;
#[cfg(test)]
mod oracle;
mod packed;

pub use joint::{joint_conv2d, reference_joint};
pub use packed::{PackedConv, PackedSpec, Precision};

use crate::activation::{self, Activation};
use crate::cpu::is_fast;
use candle_core::{Result, Tensor, bail};
use im2col::Geometry;

/// Zeros added around a map, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Above.
    pub top: usize,
    /// Below.
    pub bottom: usize,
    /// Left.
    pub left: usize,
    /// Right.
    pub right: usize,
}

impl Padding {
    /// `rows` above and below, `cols` left and right.
    pub fn symmetric(rows: usize, cols: usize) -> Self {
        Self { top: rows, bottom: rows, left: cols, right: cols }
    }

    /// TensorFlow's `SAME`: the output has `ceil(size / stride)` pixels; an odd remainder goes below and right.
    pub fn tf_same(h: usize, w: usize, kernel: usize, stride: usize) -> Self {
        let total = |size: usize| ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
        let (v, u) = (total(h), total(w));
        Self { top: v / 2, bottom: v - v / 2, left: u / 2, right: u - u / 2 }
    }
}

/// Stride and padding of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dSpec {
    /// Step in both directions, at least 1.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
}

impl Conv2dSpec {
    /// `stride` in both directions and `padding` on all sides.
    pub fn new(stride: usize, padding: usize) -> Self {
        Self { stride, padding: Padding::symmetric(padding, padding) }
    }

    /// Output side lengths for an input `(h, w)` and a kernel `(kh, kw)`.
    ///
    /// # Errors
    /// The kernel does not fit into the padded input, or the stride is 0.
    pub fn output_size(&self, (h, w): (usize, usize), (kh, kw): (usize, usize)) -> Result<(usize, usize)> {
        let p = self.padding;
        let (ph, pw) = (h + p.top + p.bottom, w + p.left + p.right);
        if self.stride == 0 || kh == 0 || kw == 0 || ph < kh || pw < kw {
            bail!(
                "conv2d: kernel {kh}x{kw} with stride {} does not fit a padded map of {ph}x{pw}",
                self.stride
            )
        }
        Ok(((ph - kh) / self.stride + 1, (pw - kw) / self.stride + 1))
    }
}

/// 2-D cross-correlation: `y[b, o, i, j] = bias[o] + sum_{c,u,v} w[o, c, u, v] x[b, c, s i + u - top, s j + v - left]`.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `weight`: `(O, C, kh, kw)`; `bias`: `(O,)`; result: `(B, O, H', W')`.
///
/// # Errors
/// Shapes that do not fit each other.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, spec: Conv2dSpec) -> Result<Tensor> {
    conv2d_act(x, weight, bias, Activation::Identity, spec)
}

/// `act(conv2d(x))`, where nothing but the result is kept for the gradient unless the activation is gated.
///
/// # Shapes
/// As [`conv2d`]; with [`Activation::Glu`] the result is `(B, O / 2, H', W')`.
///
/// # Errors
/// Shapes that do not fit each other; an odd O for a gated linear unit.
pub fn conv2d_act(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    act: Activation,
    spec: Conv2dSpec,
) -> Result<Tensor> {
    if !(is_fast(x) && is_fast(weight)) || x.elem_count() == 0 {
        return activation::reference(&reference(x, weight, bias, spec)?, act);
    }
    let geometry = geometry(x, weight, spec, false)?;
    if let Some(bias) = bias
        && bias.dims() != [geometry.o]
    {
        bail!("conv2d: bias: expected ({},), got {:?}", geometry.o, bias.dims())
    }
    if op::is_found_by_result(act) {
        return op::apply(x, weight, bias, act, geometry);
    }
    activation::activate(&op::apply(x, weight, bias, Activation::Identity, geometry)?, act)
}

/// The sizes of a convolution, checked; with `up`, of the doubled map.
pub(crate) fn geometry(x: &Tensor, weight: &Tensor, spec: Conv2dSpec, up: bool) -> Result<Geometry> {
    let (b, c, h, w) = x.dims4()?;
    let (o, wc, kh, kw) = weight.dims4()?;
    if wc != c {
        bail!(
            "conv2d: weight: expected (O, {c}, kh, kw) for an input of {c} channels, got {:?}",
            weight.dims()
        )
    }
    let (h, w) = if up { (2 * h, 2 * w) } else { (h, w) };
    let (oh, ow) = spec.output_size((h, w), (kh, kw))?;
    Ok(Geometry { b, c, h, w, o, kh, kw, stride: spec.stride, padding: spec.padding, oh, ow, up })
}

pub(crate) use epilogue::Epilogue;
pub(crate) use op::{apply, behind_activation, is_found_by_result};

/// Plain-tensor form of [`conv2d`]: every tap a strided view, one matrix product.
pub fn reference(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, spec: Conv2dSpec) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let (o, wc, kh, kw) = weight.dims4()?;
    if wc != c {
        bail!(
            "conv2d: weight: expected (O, {c}, kh, kw) for an input of {c} channels, got {:?}",
            weight.dims()
        )
    }
    let (oh, ow) = spec.output_size((h, w), (kh, kw))?;
    let cols = patches(x, (kh, kw), spec, (oh, ow))?; // (B, C, kh kw, oh ow)
    let cols = cols.reshape((b, c * kh * kw, oh * ow))?;
    let flat = weight.reshape((1, o, c * kh * kw))?.broadcast_as((b, o, c * kh * kw))?.contiguous()?;
    let y = flat.matmul(&cols)?.reshape((b, o, oh, ow))?;
    match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, o, 1, 1))?),
        None => Ok(y),
    }
}

/// Every tap of a `kh x kw` window: `(B, C, kh kw, oh ow)`.
pub(crate) fn patches(
    x: &Tensor,
    (kh, kw): (usize, usize),
    spec: Conv2dSpec,
    (oh, ow): (usize, usize),
) -> Result<Tensor> {
    let (b, c, ..) = x.dims4()?;
    let p = spec.padding;
    let padded = x.pad_with_zeros(2, p.top, p.bottom)?.pad_with_zeros(3, p.left, p.right)?.contiguous()?;
    let mut taps = Vec::with_capacity(kh * kw);
    for u in 0..kh {
        let rows = every_nth(&padded, 2, u, spec.stride, oh)?;
        for v in 0..kw {
            taps.push(every_nth(&rows, 3, v, spec.stride, ow)?.reshape((b, c, 1, oh * ow))?);
        }
    }
    Tensor::cat(&taps, 2)
}

/// `n` slices `start, start + step, ...` along `dim`.
pub(crate) fn every_nth(x: &Tensor, dim: usize, start: usize, step: usize, n: usize) -> Result<Tensor> {
    let index: Vec<u32> = (0..n).map(|i| (start + step * i) as u32).collect();
    x.contiguous()?.index_select(&Tensor::from_vec(index, n, x.device())?, dim)
}
