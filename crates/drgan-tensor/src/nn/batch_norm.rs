//! Batch normalization, fused with the activation after it.
//!
//! For each channel `c`: `y = act((x - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c])`. In training, mean and
//! (biased) variance are those of the batch, and the running statistics follow them; in evaluation they are the running
//! ones.
//!
//! ```
//! use drgan_tensor::ops::Activation;
//! use drgan_tensor::prelude::*;
//!
//! let store = ParamStore::seeded(1);
//! let bn = nn::BatchNorm::new(1, store.builder(DType::F32, &Device::Cpu))?;
//! let x = Tensor::new(&[[-1f32], [1.]], &Device::Cpu)?; // mean 0, variance 1
//! let y = bn.forward(&x, Activation::Relu, &Ctx::new(Mode::Train, 0))?;
//! assert_eq!(y.to_vec2::<f32>()?[0], [0.]);
//! assert!((y.to_vec2::<f32>()?[1][0] - 1.).abs() < 1e-5);
//! # Ok::<(), drgan_tensor::Error>(())
//! ```
use super::conv::Conv2d;
use crate::ops::{self, Activation, ConvNormSpec, Normalized};
use crate::{Ctx, Hint, Result, VarBuilder};
use candle_core::{Tensor, Var};
use candle_nn::Init;

/// Batch normalization with running statistics of momentum 0.1, as PyTorch's, and the activation after it.
///
/// Parameters: `weight`, `bias`; buffers: `running_mean`, `running_var`; each `(C,)`.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    eps: f64,
}

/// Share of a batch's statistics in the running ones.
const MOMENTUM: f64 = 0.1;

impl BatchNorm {
    /// A layer for `channels` channels, with eps 1e-5.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(channels: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Self::with_eps(channels, 1e-5, vb)
    }

    /// For `channels` channels, with `eps` added to the variance.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn with_eps(channels: usize, eps: f64, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints(channels, "weight", Hint::param(Init::Const(1.)))?,
            bias: vb.get_with_hints(channels, "bias", Hint::param(Init::Const(0.)))?,
            running_mean: vb.get_with_hints(channels, "running_mean", Hint::buffer(Init::Const(0.)))?,
            running_var: vb.get_with_hints(channels, "running_var", Hint::buffer(Init::Const(1.)))?,
            eps,
        })
    }

    /// Running statistics, weight and bias folded into one scale and one shift per channel, each `(C,)`: normalization in
    /// evaluation is `x scale + shift`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn folded(&self) -> Result<(Tensor, Tensor)> {
        let scale = (&self.weight / (&self.running_var + self.eps)?.sqrt()?)?;
        let shift = (&self.bias - (&self.running_mean * &scale)?)?;
        Ok((scale, shift))
    }

    /// Normalizes `x` `(B, C)` or `(B, C, H, W)` and applies `act`.
    ///
    /// # Errors
    /// In training, fewer than two values per channel.
    pub fn forward(&self, x: &Tensor, act: Activation, ctx: &Ctx) -> Result<Tensor> {
        self.normalize(x, act, None, ctx)
    }

    /// `forward(x) + residual` in one pass: the end of a residual block.
    ///
    /// # Shapes
    /// `residual` as the result.
    ///
    /// # Errors
    /// As [`BatchNorm::forward`]; `residual` of another shape.
    pub fn forward_residual(
        &self,
        x: &Tensor,
        act: Activation,
        residual: &Tensor,
        ctx: &Ctx,
    ) -> Result<Tensor> {
        self.normalize(x, act, Some(residual), ctx)
    }

    fn normalize(&self, x: &Tensor, act: Activation, residual: Option<&Tensor>, ctx: &Ctx) -> Result<Tensor> {
        if !ctx.mode.batch_statistics() {
            let (scale, shift) = self.folded()?;
            let y = ops::scale_shift(x, &scale, &shift, act)?;
            return Ok(match residual {
                Some(residual) => (y + residual)?,
                None => y,
            });
        }
        self.update(ops::batch_norm(x, &self.weight, &self.bias, self.eps, act, residual)?, ctx)
    }

    /// Convolution (of the nearest-neighbour x2 upsampled map with `upsample`), normalization by the batch's statistics and
    /// activation in one operation. `conv` has no bias.
    ///
    /// # Errors
    /// As [`BatchNorm::forward`]; `x` does not fit.
    pub(super) fn forward_conv(
        &self,
        conv: &Conv2d,
        upsample: bool,
        x: &Tensor,
        act: Activation,
        ctx: &Ctx,
    ) -> Result<Tensor> {
        let spec = ConvNormSpec::new(conv.spec(), act).with_upsample(upsample).with_eps(self.eps);
        let norm = (&self.weight, &self.bias);
        self.update(ops::conv2d_batch_norm(x, conv.weight(), norm, spec)?, ctx)
    }

    /// Moves the running statistics towards the batch's if `ctx` says so; the normalized values. Buffers that are not variables
    /// (those of a frozen copy) are left alone.
    fn update(&self, out: Normalized, ctx: &Ctx) -> Result<Tensor> {
        let running = [&self.running_mean, &self.running_var];
        if ctx.mode.updates_running_stats() && running.iter().all(|buffer| buffer.is_variable()) {
            let [mean, var] = running.map(Var::from_tensor);
            ops::update_running_statistics((&mean?, &var?), &out, MOMENTUM)?;
        }
        Ok(out.y)
    }
}
