//! The discriminator's encoder: images to features.
use crate::DiscriminatorConfig;
use candle_core::Tensor;
use drgan_tensor::nn::{LEAKY_RELU_SLOPE, SpectralConv2d};
use drgan_tensor::ops::Activation;
use drgan_tensor::{Ctx, Result, VarBuilder, expect_shape};

/// E^D, the encoder: spectrally normalized 4x4 convolutions of stride 2, each followed by a LeakyReLU(0.2), down to features
/// `(B, 8 ndf, 4, 4)`.
///
/// | side | channels, in `ndf` | names |
/// | --- | --- | --- |
/// | 16 | 4, 8 | `img_code_s16.0`, `.2` |
/// | 32 | 2, 4, 8 | `img_code_s16.0`, `.2`, `.4` |
/// | 64 | 1, 2, 4, 8 | `img_code_s16.0`, `.2`, `.4`, `.6` |
/// | 128 | 1, 2, 4, 8, 16, then 3x3 to 8 | and `img_code_s32.0`, `img_code_s32_1.0` |
/// | 256 | 1, 2, 4, 8, 16, 32, then 3x3 to 16, to 8 | and `img_code_s32.0`, `img_code_s64.0`, `img_code_s64_1.0`, `_2.0` |
///
/// `.module` follows each name. Larger sides continue the pattern; from side 64 on it is the released code's.
#[derive(Clone, Debug)]
pub struct Encoder {
    strided: Vec<SpectralConv2d>,
    narrowing: Vec<SpectralConv2d>,
    side: usize,
}

/// Features of images; both maps are the same up to side 64.
#[derive(Clone, Debug)]
pub struct EncodedImages {
    /// The features v, `(B, 8 ndf, 4, 4)`.
    pub features: Tensor,
    /// The feature map before the 3x3 layers, `(B, 8 ndf * side / 64, 4, 4)`: the released form makes its latent of it.
    pub deepest: Tensor,
}

impl Encoder {
    /// An encoder of the configuration's sizes.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(cfg: &DiscriminatorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let strided = (cfg.side / 4).ilog2() as usize;
        let chain = strided.min(4); // layers of the chain that ends in 8 ndf
        let extra = cfg.extra_layers(); // doublings beyond it, each taken back by a 3x3 layer
        let at = |name: String| vb.pp(name).pp("module");
        let (mut layers, mut narrowing) = (Vec::with_capacity(strided), Vec::with_capacity(extra));
        let mut channels = 3;
        for k in 0..chain {
            let out = cfg.ndf << (4 - chain + k);
            layers.push(SpectralConv2d::new(
                (channels, out),
                4,
                2,
                1,
                at(format!("img_code_s16.{}", 2 * k)),
            )?);
            channels = out;
        }
        for j in 1..=extra {
            let name = format!("img_code_s{}.0", 16 << j);
            layers.push(SpectralConv2d::new((channels, 2 * channels), 4, 2, 1, at(name))?);
            channels *= 2;
        }
        for j in 1..=extra {
            let name = format!("img_code_s{}_{j}.0", 16 << extra);
            narrowing.push(SpectralConv2d::new((channels, channels / 2), 3, 1, 1, at(name))?);
            channels /= 2;
        }
        Ok(Self { strided: layers, narrowing, side: cfg.side })
    }

    /// Features of `images`.
    ///
    /// # Shapes
    /// `images` `(B, 3, side, side)`.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn forward(&self, images: &Tensor, ctx: &Ctx) -> Result<EncodedImages> {
        let side = self.side;
        let want = [None, Some(3), Some(side), Some(side)];
        expect_shape("Discriminator: images", images, &want, &format!("(B, 3, {side}, {side})"))?;
        let through = |layers: &[SpectralConv2d], x: &Tensor| {
            layers.iter().try_fold(x.clone(), |x, layer| -> Result<Tensor> {
                layer.forward(&x, Activation::LeakyRelu(LEAKY_RELU_SLOPE), ctx)
            })
        };
        let deepest = through(&self.strided, images)?;
        Ok(EncodedImages { features: through(&self.narrowing, &deepest)?, deepest })
    }
}
