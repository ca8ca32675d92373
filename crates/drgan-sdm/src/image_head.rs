//! Image heads: the last layers of a stage, from features to an image.
use candle_core::Tensor;
use drgan_tensor::nn::{BatchNorm, Conv2d, ConvLayer};
use drgan_tensor::ops::{self, Activation, Precision};
use drgan_tensor::{Ctx, Result, VarBuilder, Variant, expect_shape};

/// Features to an image: `tanh(conv3x3(h))`, no bias. Name: `img.0`.
///
/// In the released form there are three convolutions, to C / 2, C / 4 and 3 channels, each with a tanh, and a batch
/// normalization after each of the first two. Names: `img.0`, `img.1`, `img.3`, `img.4`, `img.6`.
///
/// # Paper
/// Section III (docs/divergences.md, image heads).
#[derive(Clone, Debug)]
pub struct ImageHead {
    layers: Vec<ConvLayer>,
    channels: usize,
}

impl ImageHead {
    /// For feature maps of `channels`, in the released form a multiple of 4.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(channels: usize, form: Variant, vb: VarBuilder<'_>) -> Result<Self> {
        let vb = vb.pp("img");
        let widths = match form {
            Variant::Paper => vec![channels, 3],
            Variant::Released => vec![channels, channels / 2, channels / 4, 3],
        };
        let last = widths.len() - 2;
        let layer = |(i, pair): (usize, &[usize])| {
            let conv = Conv2d::same3x3(pair[0], pair[1], vb.pp(3 * i))?;
            Ok(if i == last {
                ConvLayer::plain(conv, Activation::Identity)
            } else {
                let norm = BatchNorm::new(pair[1], vb.pp(3 * i + 1))?;
                ConvLayer::normalized(conv, norm, Activation::Identity)
            })
        };
        Ok(Self { layers: widths.windows(2).enumerate().map(layer).collect::<Result<_>>()?, channels })
    }

    /// A copy for inference: see [`ConvLayer::pack`].
    ///
    /// # Errors
    /// Those of [`ConvLayer::pack`].
    pub fn pack(&self, precision: Precision) -> Result<Self> {
        let layers = self.layers.iter().map(|l| l.pack(precision)).collect::<Result<_>>()?;
        Ok(Self { layers, channels: self.channels })
    }

    /// The image of features `h`.
    ///
    /// # Shapes
    /// `h` `(B, C, H, W)`; the result `(B, 3, H, W)` in `[-1, 1]`.
    ///
    /// # Errors
    /// Another number of channels; in the released form in training, fewer than two values per channel.
    pub fn forward(&self, h: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let c = self.channels;
        expect_shape("ImageHead: h", h, &[None, Some(c), None, None], &format!("(B, C = {c}, H, W)"))?;
        self.layers.iter().try_fold(h.clone(), |x, layer| Ok(ops::tanh(&layer.forward(&x, ctx)?)?))
    }
}
