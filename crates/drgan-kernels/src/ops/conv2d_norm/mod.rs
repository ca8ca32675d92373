use crate::cpu::channels::Channels;
use crate::cpu::{is_fast, slice, with_values};
use crate::ops::activation::{Activation, shape_out};
use crate::ops::batch_norm::{BatchNormAct, Normalized, batch_norm, normalized, tracked};
use crate::ops::conv2d::cpu::{epilogue::Epilogue, select};
use crate::ops::conv2d::shape::ConvShape;
use crate::ops::conv2d::{Conv2dSpec, conv2d};
use crate::ops::upsample::up_conv2d;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// What is known of a normalised convolution beside its parameters.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConvNormSpec {
    /// Stride and padding of the convolution; not read if the input is upsampled (stride 1, padding 1 then).
    pub conv: Conv2dSpec,
    /// Whether the input is upsampled by two first, as by [`up_conv2d`].
    pub upsample: bool,
    /// Added to the variance.
    pub eps: f64,
    /// The activation after the normalization.
    pub act: Activation,
}

impl ConvNormSpec {
    /// `act` after the normalization of `conv`, whose input is not upsampled; `eps` is 1e-5.
    pub fn new(conv: Conv2dSpec, act: Activation) -> Self {
        Self { conv, upsample: false, eps: 1e-5, act }
    }

    /// The same, with the input upsampled by two first or not.
    #[must_use]
    pub fn with_upsample(self, upsample: bool) -> Self {
        Self { upsample, ..self }
    }

    /// The same with another number added to the variance.
    #[must_use]
    pub fn with_eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }
}

/// [`batch_norm`] of a convolution without a bias, as one operation: no gradient is ever kept of the map between them.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `weight`: `(O, C, kh, kw)`, 3x3 if doubled; `norm`, the normalisation's weight and bias: `(O,)` each.
///
/// # Errors
/// As [`conv2d`], [`up_conv2d`] and [`batch_norm`].
pub fn conv2d_batch_norm(
    x: &Tensor,
    weight: &Tensor,
    norm: (&Tensor, &Tensor),
    spec: ConvNormSpec,
) -> Result<Normalized> {
    let (b, o) = (x.dim(0)?, weight.dim(0)?);
    let conv = if spec.upsample { Conv2dSpec::new(1, 1) } else { spec.conv };
    let fast = [x, weight, norm.0, norm.1].into_iter().all(is_fast) && x.elem_count() > 0;
    let g = if fast { Some(ConvShape::new(x.shape(), weight.shape(), conv, spec.upsample)?) } else { None };
    let fitting = norm.0.dims() == [o] && norm.1.dims() == [o];
    match g {
        Some(g) if fitting && b * g.oh * g.ow > 1 && (spec.act != Activation::Glu || o % 2 == 0) => {
            let op = ConvNorm { g, norm: BatchNormAct::new(spec.eps, spec.act), between: OnceLock::new() };
            let statistics = op.norm.statistics.clone();
            let line = Tensor::stack(&[norm.0, norm.1], 0)?;
            normalized(x.contiguous()?.apply_op3(&weight.contiguous()?, &line, op)?, &statistics)
        }
        // Other types and devices, and what is refused.
        _ => {
            let y = if spec.upsample { up_conv2d(x, weight)? } else { conv2d(x, weight, None, spec.conv)? };
            batch_norm(&y, norm.0, norm.1, spec.eps, spec.act, None)
        }
    }
}

/// Its third argument is the normalisation's weights and biases, `(2, O)`.
struct ConvNorm {
    g: ConvShape,
    norm: BatchNormAct,
    /// The convolution's result, which the normalisation's gradient asks for.
    between: OnceLock<Vec<f32>>,
}

impl ConvNorm {
    fn planes(&self) -> Channels {
        Channels { b: self.g.b, c: self.g.o, plane: self.g.oh * self.g.ow }
    }

    fn convolved(&self, x: &[f32], weight: &[f32]) -> &[f32] {
        self.between.get_or_init(|| select::forward(&self.g, x, weight, &Epilogue::bias(None)))
    }
}

impl CustomOp3 for ConvNorm {
    fn name(&self) -> &'static str {
        "conv2d, batch normalisation and activation"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        weight: &CpuStorage,
        lw: &Layout,
        line: &CpuStorage,
        ll: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let g = &self.g;
        let z = self.convolved(slice(x, lx)?, slice(weight, lw)?);
        let y = self.norm.forward(self.planes(), z, slice(line, ll)?, None);
        Ok((CpuStorage::F32(y), shape_out(&[g.b, g.o, g.oh, g.ow], self.norm.act)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        line: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        with_values([x, weight, line, &dy.contiguous()?], |[x_values, w_values, line_values, dy]| {
            let z = self.convolved(x_values, w_values);
            let (dz, dl) = self.norm.gradients(self.planes(), z, line_values, dy)?;
            let (dx, dw) = select::gradients(&self.g, (x, x_values), (weight, w_values), &dz)?;
            Ok((dx, dw, tracked(line, dl)?))
        })
    }
}
