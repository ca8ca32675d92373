//! The layer that both backbones are made of: a frozen convolution with its normalization folded in.
use candle_core::Tensor;
use drgan_tensor::ops::{self, Activation, Conv2dSpec, Padding};
use drgan_tensor::{Result, VarBuilder};

/// Epsilon of the batch normalization in both backbones.
pub(super) const EPS: f64 = 1e-3;

/// A frozen convolution into which the batch normalization after it is folded, and its activation.
///
/// With `k = weight / sqrt(running_var + eps)`: `W' = k W`, `b' = bias - k running_mean`.
#[derive(Clone, Debug)]
pub(super) struct ConvBn {
    weight: Tensor,
    bias: Tensor,
    depthwise: bool,
    act: Activation,
}

impl ConvBn {
    /// `shape` `(O, C, kh, kw)`, looked up as `weight` under `conv`; the statistics under `bn`.
    pub(super) fn new(
        shape: (usize, usize, usize, usize),
        act: Activation,
        conv: &VarBuilder<'_>,
        bn: &VarBuilder<'_>,
    ) -> Result<Self> {
        let o = shape.0;
        let get = |name| bn.get(o, name);
        let k = (get("weight")? / (get("running_var")? + EPS)?.sqrt()?)?;
        let bias = (get("bias")? - (get("running_mean")? * &k)?)?;
        let weight = conv.get(shape, "weight")?.broadcast_mul(&k.reshape((o, 1, 1, 1))?)?;
        // Constants, whatever the builder gave: gradients pass to the image only.
        Ok(Self { weight: weight.detach(), bias: bias.detach(), depthwise: false, act })
    }

    /// The same with a depthwise convolution of `channels`.
    pub(super) fn depthwise(
        (channels, kernel): (usize, usize),
        act: Activation,
        conv: &VarBuilder<'_>,
        bn: &VarBuilder<'_>,
    ) -> Result<Self> {
        let plain = Self::new((channels, 1, kernel, kernel), act, conv, bn)?;
        Ok(Self { depthwise: true, ..plain })
    }

    pub(super) fn forward(&self, x: &Tensor, stride: usize, padding: Padding) -> Result<Tensor> {
        let spec = Conv2dSpec::new(stride, 0).with_padding(padding);
        Ok(if self.depthwise {
            ops::depthwise_conv2d(x, &self.weight, &self.bias, self.act, spec)?
        } else {
            ops::conv2d_act(x, &self.weight, Some(&self.bias), self.act, spec)?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use drgan_tensor::nn::BatchNorm;
    use drgan_tensor::testing::{Fill, Tol, assert_close};
    use drgan_tensor::{Ctx, Mode};

    #[test]
    fn folding_changes_nothing() -> Result<()> {
        let vb = Fill::new("fold", "").builder();
        let mut ctx = Ctx::new(Mode::Eval, 1);
        let x = ctx.randn((2, 4, 5, 7), DType::F32, &Device::Cpu)?;
        let (act, pad) = (Activation::Relu6, Padding::symmetric(1, 1));
        let bn = BatchNorm::with_eps(4, EPS, vb.pp("bn"))?;
        let spec = Conv2dSpec::new(2, 0).with_padding(pad);
        let plain = ops::conv2d(&x, &vb.pp("c").get((4, 4, 3, 3), "weight")?, None, spec)?;
        let folded = ConvBn::new((4, 4, 3, 3), act, &vb.pp("c"), &vb.pp("bn"))?.forward(&x, 2, pad)?;
        assert_close("conv", &folded, &bn.forward(&plain, act, &ctx)?, Tol::LAYER)?;
        let (weight, none) =
            (vb.pp("d").get((4, 1, 3, 3), "weight")?, Tensor::zeros(4, DType::F32, &Device::Cpu)?);
        let plain = ops::depthwise_conv2d(&x, &weight, &none, Activation::Identity, spec)?;
        let folded = ConvBn::depthwise((4, 3), act, &vb.pp("d"), &vb.pp("bn"))?.forward(&x, 2, pad)?;
        assert_close("depthwise", &folded, &bn.forward(&plain, act, &ctx)?, Tol::LAYER)
    }
}
