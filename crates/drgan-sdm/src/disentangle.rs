//! Semantic disentangling: a feature map split into key and non-key parts by a learnt mask.
use candle_core::Tensor;
use drgan_tensor::nn::{BatchNorm, Conv2d, ConvLayer, LEAKY_RELU_SLOPE};
use drgan_tensor::ops::{Activation, Precision};
use drgan_tensor::{Ctx, MaskedSplit, Result, VarBuilder, Variant, expect_shape};
use serde::{Deserialize, Serialize};

/// How a [`Disentangle`] makes its mask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskConfig {
    /// The paper's plain convolutions, or the released code's with batch normalization.
    pub form: Variant,
    /// Factor k on the logits before the sigmoid, positive. The paper has none (1); the released code divides by its batch
    /// size (1/4 in its evaluation on birds, 1/10 on COCO), an older version of it by 64.
    pub logit_scale: f64,
}

impl Default for MaskConfig {
    fn default() -> Self {
        Self { form: Variant::Paper, logit_scale: 1. }
    }
}

/// Splits a feature map into what the caption speaks of (key) and the rest (non-key).
///
/// `M = sigmoid(k conv1x1(relu(conv3x3(x))))`, `key = x * M`, `non_key = x - key`; M has as many channels as x, and k is
/// [`MaskConfig::logit_scale`]. Both convolutions have a bias, since no normalization follows them. In the released form a
/// batch normalization follows each instead, and the activation between them is LeakyReLU(0.2).
/// Names, the released code's: `0`, `3` (convolutions), `1`, `4` (normalizations, if any).
///
/// # Paper
/// Section III, semantic disentangling (docs/divergences.md, masks; docs/divergences.md, mask scale).
#[derive(Clone, Debug)]
pub struct Disentangle {
    layers: [ConvLayer; 2],
    logit_scale: f64,
    channels: usize,
}

impl Disentangle {
    /// A disentangling of feature maps of `channels`.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(channels: usize, cfg: MaskConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let io = (channels, channels);
        let layers = match cfg.form {
            Variant::Paper => [
                ConvLayer::plain(Conv2d::biased(io, 3, 1, 1, vb.pp("0"))?, Activation::Relu),
                ConvLayer::plain(Conv2d::biased(io, 1, 1, 0, vb.pp("3"))?, Activation::Identity),
            ],
            Variant::Released => {
                let wide = Conv2d::same3x3(channels, channels, vb.pp("0"))?;
                let narrow = Conv2d::pointwise(channels, channels, vb.pp("3"))?;
                let norm = |name: &str| BatchNorm::new(channels, vb.pp(name));
                [
                    ConvLayer::normalized(wide, norm("1")?, Activation::LeakyRelu(LEAKY_RELU_SLOPE)),
                    ConvLayer::normalized(narrow, norm("4")?, Activation::Identity),
                ]
            }
        };
        Ok(Self { layers, logit_scale: cfg.logit_scale, channels })
    }

    /// A copy for inference: see [`ConvLayer::pack`].
    ///
    /// # Errors
    /// Those of [`ConvLayer::pack`].
    pub fn pack(&self, precision: Precision) -> Result<Self> {
        let [wide, narrow] = &self.layers;
        Ok(Self { layers: [wide.pack(precision)?, narrow.pack(precision)?], ..self.clone() })
    }

    /// Both parts of `x`, as a mask that gives them when asked.
    ///
    /// # Shapes
    /// `x` and every map of the result `(B, C, H, W)`.
    ///
    /// # Errors
    /// Another number of channels; in the released form in training, fewer than two values per channel.
    pub fn split(&self, x: &Tensor, ctx: &Ctx) -> Result<MaskedSplit> {
        let c = self.channels;
        expect_shape("Disentangle: x", x, &[None, Some(c), None, None], &format!("(B, C = {c}, H, W)"))?;
        let logits = self.layers.iter().try_fold(x.clone(), |x, layer| layer.forward(&x, ctx))?;
        MaskedSplit::new(x, &logits, self.logit_scale)
    }
}
