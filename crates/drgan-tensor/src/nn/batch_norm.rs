use super::Conv2d;
use crate::ops::{self, Activation, ConvNormSpec, Normalized};
use crate::{Ctx, Result};
use candle_core::{Tensor, Var};
use candle_nn::{Init, VarBuilder};

/// Batch normalisation (momentum 0.1, as PyTorch's) fused with the activation behind it.
///
/// Names: `weight`, `bias`, `running_mean`, `running_var`.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    eps: f64,
}

const MOMENTUM: f64 = 0.1;

impl BatchNorm {
    /// `channels` of them, eps 1e-5.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(channels: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Self::with_eps(channels, 1e-5, vb)
    }

    /// With another eps.
    ///
    /// # Errors
    /// As [`BatchNorm::new`].
    pub fn with_eps(channels: usize, eps: f64, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints(channels, "weight", Init::Const(1.))?,
            bias: vb.get_with_hints(channels, "bias", Init::Const(0.))?,
            running_mean: vb.get_with_hints(channels, "running_mean", Init::Const(0.))?,
            running_var: vb.get_with_hints(channels, "running_var", Init::Const(1.))?,
            eps,
        })
    }

    /// The scale and the shift of each channel, `(C,)`, that normalise by the remembered statistics.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn remembered(&self) -> Result<(Tensor, Tensor)> {
        let scale = (&self.weight / (&self.running_var + self.eps)?.sqrt()?)?;
        let shift = (&self.bias - (&self.running_mean * &scale)?)?;
        Ok((scale, shift))
    }

    /// Normalises `x` `(B, C)` or `(B, C, H, W)` and applies `act`.
    ///
    /// # Errors
    /// In training, fewer than two values a channel.
    pub fn forward(&self, x: &Tensor, act: Activation, ctx: &Ctx) -> Result<Tensor> {
        self.normalise(x, act, None, ctx)
    }

    /// [`BatchNorm::forward`] with `plus` added behind the activation: the end of a residual block, in the same pass.
    ///
    /// # Shapes
    /// `plus` as the result.
    ///
    /// # Errors
    /// As [`BatchNorm::forward`]; another shape.
    pub fn forward_plus(&self, x: &Tensor, act: Activation, plus: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        self.normalise(x, act, Some(plus), ctx)
    }

    fn normalise(&self, x: &Tensor, act: Activation, plus: Option<&Tensor>, ctx: &Ctx) -> Result<Tensor> {
        if !ctx.mode.batch_statistics() {
            let (scale, shift) = self.remembered()?;
            let y = ops::scale_shift(x, &scale, &shift, act)?;
            return Ok(match plus {
                Some(plus) => (y + plus)?,
                None => y,
            });
        }
        self.remembering(ops::batch_norm(x, &self.weight, &self.bias, self.eps, act, plus)?, ctx)
    }

    /// [`BatchNorm::forward`] of a convolution without a bias (of the doubled map with `up`), by the batch's statistics, in
    /// one operation.
    ///
    /// # Errors
    /// As [`BatchNorm::forward`]; `x` does not fit.
    pub(super) fn of_conv(
        &self,
        conv: &Conv2d,
        up: bool,
        x: &Tensor,
        act: Activation,
        ctx: &Ctx,
    ) -> Result<Tensor> {
        let spec = ConvNormSpec::new(conv.spec(), act).with_upsample(up).with_eps(self.eps);
        let norm = (&self.weight, &self.bias);
        self.remembering(ops::conv2d_batch_norm(x, conv.weight(), norm, spec)?, ctx)
    }

    fn remembering(&self, out: Normalized, ctx: &Ctx) -> Result<Tensor> {
        if ctx.mode.remembers() {
            let n = (out.y.elem_count() / out.y.dim(1)?) as f64;
            remember(&self.running_mean, &out.mean)?;
            remember(&self.running_var, &(&out.var * (n / (n - 1.)))?)?; // unbiased, as PyTorch remembers it
        }
        Ok(out.y)
    }
}

/// `running += momentum (now - running)`; a buffer that is not a variable (a frozen twin's) is left alone.
fn remember(running: &Tensor, now: &Tensor) -> Result<()> {
    if running.is_variable() {
        let next = ((running.detach() * (1. - MOMENTUM))? + (now.detach() * MOMENTUM)?)?;
        Var::from_tensor(running)?.set(&next)?;
    }
    Ok(())
}
