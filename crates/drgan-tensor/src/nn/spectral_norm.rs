use crate::ops::{self, Activation, Conv2dSpec};
use crate::{Ctx, Result};
use candle_core::{Tensor, Var};
use candle_nn::{Init, VarBuilder};

/// A convolution divided by its weight's largest singular value, found by one power iteration a training pass.
///
/// Names, as the released code's: `weight_bar` `(O, C, k, k)`, `bias` `(O,)`, `weight_u` `(O,)`, `weight_v`
/// `(C k k,)`. The gradient of sigma = u^T W v flows through W alone. Evaluation and frozen passes use u and v as
/// they stand (docs/divergences.md, spectral norm).
#[derive(Clone, Debug)]
pub struct SpectralConv2d {
    weight_bar: Tensor,
    bias: Tensor,
    u: Tensor,
    v: Tensor,
    spec: Conv2dSpec,
}

impl SpectralConv2d {
    /// Square kernel.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(
        (c_in, c_out): (usize, usize),
        kernel: usize,
        stride: usize,
        padding: usize,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        Ok(Self {
            weight_bar: vb.get_with_hints((c_out, c_in, kernel, kernel), "weight_bar", super::conv::INIT)?,
            bias: vb.get_with_hints(c_out, "bias", Init::Const(0.))?,
            u: vb.get_with_hints(c_out, "weight_u", Init::Randn { mean: 0., stdev: 1. })?,
            v: vb.get_with_hints(c_in * kernel * kernel, "weight_v", Init::Randn { mean: 0., stdev: 1. })?,
            spec: Conv2dSpec::new(stride, padding),
        })
    }

    /// `act(conv(x) + bias)` of `x` `(B, C, H, W)` with `weight_bar / sigma`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor, act: Activation, ctx: &Ctx) -> Result<Tensor> {
        Ok(ops::conv2d_act(x, &self.weight(ctx)?, Some(&self.bias), act, self.spec)?)
    }

    /// The same of `x` `(B, C, H, W)` joined to `vector` `(B, D)` at every pixel, for a weight of C + D channels in.
    ///
    /// # Errors
    /// `x` or `vector` does not fit.
    pub fn forward_joint(&self, x: &Tensor, vector: &Tensor, act: Activation, ctx: &Ctx) -> Result<Tensor> {
        Ok(ops::joint_conv2d(x, vector, &self.weight(ctx)?, &self.bias, act, self.spec)?)
    }

    fn weight(&self, ctx: &Ctx) -> Result<Tensor> {
        let (u, v) = if ctx.mode.remembers() && self.u.is_variable() {
            let (u, v) = ops::power_iteration(&self.weight_bar, &self.u)?;
            Var::from_tensor(&self.u)?.set(&u)?;
            Var::from_tensor(&self.v)?.set(&v)?;
            (u, v)
        } else {
            (self.u.detach(), self.v.detach())
        };
        Ok(ops::spectral_norm(&self.weight_bar, &u, &v)?)
    }
}
