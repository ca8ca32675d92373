//! The real image path: encoders that exist in training only, from real images to features.
use crate::RealImageConfig;
use candle_core::Tensor;
use drgan_tensor::nn::{BatchNorm, Conv2d, ConvLayer, LEAKY_RELU_SLOPE, ResidualBlock};
use drgan_tensor::ops::Activation;
use drgan_tensor::{Ctx, Error, FromConfig, Result, VarBuilder, Variant, expect_shape};

/// Encoders of the real image reconstruction module (RIRM): real images to features H*, with which the losses compare the
/// generator's key and non-key features in training.
///
/// Every stage `i >= 1` has one encoder, which reads real images of the size of stage `i - 1`. Its decoder is the generator's
/// own image head of that size, `generator.decode(i - 1, h_star)`: together they are the siamese pair of the paper. The
/// path is a network with a parameter store of its own, so that no generator sees a real image; sampling does not need it.
///
/// # Paper
/// Section III, real image reconstruction. The paper leaves the depth open; here it is two 3x3 convolutions and a
/// residual block at full resolution: receptive field 9, where the released code's two 2x2 convolutions see 3
/// (docs/divergences.md, real image path).
#[derive(Clone, Debug)]
pub struct RealImagePath {
    encoders: Vec<Encoder>,
    cfg: RealImageConfig,
}

/// `conv3x3 -> BN -> LeakyReLU -> conv3x3 -> BN -> LeakyReLU -> residual block`.
/// Names: `0`, `1`, `3`, `4` (as the released code's), `6`.
///
/// Released form: `conv2x2 (to H + 1) -> BN -> LeakyReLU -> conv2x2 (back to H) -> BN`.
#[derive(Clone, Debug)]
struct Encoder {
    layers: [ConvLayer; 2],
    residual: Option<ResidualBlock>,
}

impl Encoder {
    fn new(channels: usize, form: Variant, vb: VarBuilder<'_>) -> Result<Self> {
        let half = channels / 2;
        let leaky = Activation::LeakyRelu(LEAKY_RELU_SLOPE);
        let (kernel, padding, last) = match form {
            Variant::Paper => (3, [1, 1], leaky),
            Variant::Released => (2, [1, 0], Activation::Identity),
        };
        let conv1 = Conv2d::new((3, half), kernel, 1, padding[0], vb.pp("0"))?;
        let conv2 = Conv2d::new((half, channels), kernel, 1, padding[1], vb.pp("3"))?;
        Ok(Self {
            layers: [
                ConvLayer::normalized(conv1, BatchNorm::new(half, vb.pp("1"))?, leaky),
                ConvLayer::normalized(conv2, BatchNorm::new(channels, vb.pp("4"))?, last),
            ],
            residual: (form == Variant::Paper)
                .then(|| ResidualBlock::new(channels, vb.pp("6")))
                .transpose()?,
        })
    }

    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let x = self.layers.iter().try_fold(x.clone(), |x, layer| layer.forward(&x, ctx))?; // (B, C, H, W)
        match &self.residual {
            Some(block) => block.forward(&x, ctx),
            None => Ok(x),
        }
    }
}

impl FromConfig for RealImagePath {
    type Config = RealImageConfig;

    fn from_config(cfg: &RealImageConfig, vb: VarBuilder<'_>) -> Result<Self> {
        cfg.validate()?;
        let encoder =
            |i: usize| Encoder::new(cfg.ngf, cfg.form, vb.pp(format!("h_net{}.img_code_sxx", i + 1)));
        Ok(Self { encoders: (1..cfg.stages).map(encoder).collect::<Result<_>>()?, cfg: cfg.clone() })
    }
}

impl RealImagePath {
    /// Features H* of `stage` from real images of the size of the stage before.
    ///
    /// # Shapes
    /// `images` `(B, 3, side, side)` in `[-1, 1]`, `side = base 2^(stage - 1)`; the result `(B, ngf, side, side)`.
    ///
    /// # Errors
    /// Stage 0, which disentangles nothing; a stage that does not exist; images of another shape.
    pub fn encode(&self, stage: usize, images: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let Some(encoder) = stage.checked_sub(1).and_then(|i| self.encoders.get(i)) else {
            let expected = format!("a stage in 1..{}", self.cfg.stages);
            return Err(Error::Shape { what: "RealImagePath::encode: stage", expected, got: vec![stage] });
        };
        let side = self.cfg.base << (stage - 1);
        let want = [None, Some(3), Some(side), Some(side)];
        expect_shape("RealImagePath::encode: images", images, &want, &format!("(B, 3, {side}, {side})"))?;
        encoder.forward(images, ctx)
    }
}
