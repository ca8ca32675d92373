use candle_core::Tensor;
use candle_nn::VarBuilder;
use drgan_tensor::nn::Conv2d;
use drgan_tensor::ops::{self, Activation};
use drgan_tensor::{Result, expect_shape};

/// Divides a feature map into what the caption speaks of (key) and the rest (non-key).
///
/// `M = sigmoid(conv1x1(relu(conv3x3(x))))`, `key = x * M`, `non_key = x - key`; M has as many channels as x. Both
/// convolutions have a bias, since no normalisation stands behind them. Names: `0` and `3`, the convolutions' places
/// in the released code.
///
/// # Paper
/// Section III, semantic disentangling (docs/divergences.md, masks).
#[derive(Clone, Debug)]
pub struct Disentangle {
    conv1: Conv2d,
    conv2: Conv2d,
    channels: usize,
}

/// Both parts and the mask between them, each `(B, C, H, W)`.
#[derive(Clone, Debug)]
pub struct Split {
    /// `x * mask`.
    pub key: Tensor,
    /// `x - key`.
    pub non_key: Tensor,
    /// In `[0, 1]`.
    pub mask: Tensor,
}

impl Disentangle {
    /// For maps of `channels`.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(channels: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            conv1: Conv2d::same3x3(channels, channels, vb.pp("0"))?.and_bias(vb.pp("0"))?,
            conv2: Conv2d::pointwise(channels, channels, vb.pp("3"))?.and_bias(vb.pp("3"))?,
            channels,
        })
    }

    /// # Shapes
    /// `x` `(B, C, H, W)`; all three results the same.
    ///
    /// # Errors
    /// Another number of channels.
    pub fn split(&self, x: &Tensor) -> Result<Split> {
        let c = self.channels;
        expect_shape("Disentangle: x", x, &[None, Some(c), None, None], &format!("(B, C = {c}, H, W)"))?;
        let mask = ops::activate(&self.conv1.forward(x)?, Activation::Relu)?;
        let mask = candle_nn::ops::sigmoid(&self.conv2.forward(&mask)?)?;
        let key = (x * &mask)?;
        let non_key = (x - &key)?;
        Ok(Split { key, non_key, mask })
    }
}
