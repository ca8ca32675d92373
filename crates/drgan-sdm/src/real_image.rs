use crate::RealImageConfig;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use drgan_tensor::nn::{BatchNorm, Conv2d, ResidualBlock};
use drgan_tensor::ops::Activation;
use drgan_tensor::{Ctx, Error, FromConfig, Result, expect_shape};

/// Of the leaky rectifiers.
const SLOPE: f64 = 0.2;

/// The real image reconstruction module's (RIRM) encoders: real pictures to H*, which the masks' parts are held
/// against in training.
///
/// There is one encoder a stage `i >= 1`; it reads the real picture of stage `i - 1`'s size. The decoder is the
/// generator's own image head of that stage, `generator.decode(i - 1, h_star)`: the siamese pair. A network and a
/// parameter store of its own, so that no generator sees a real image; sampling does not need it.
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
#[derive(Clone, Debug)]
struct Encoder {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    residual: ResidualBlock,
}

impl Encoder {
    fn new(channels: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let half = channels / 2;
        Ok(Self {
            conv1: Conv2d::same3x3(3, half, vb.pp("0"))?,
            bn1: BatchNorm::new(half, vb.pp("1"))?,
            conv2: Conv2d::same3x3(half, channels, vb.pp("3"))?,
            bn2: BatchNorm::new(channels, vb.pp("4"))?,
            residual: ResidualBlock::new(channels, vb.pp("6"))?,
        })
    }

    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let x = self.bn1.forward(&self.conv1.forward(x)?, Activation::LeakyRelu(SLOPE), ctx)?; // (B, C / 2, H, W)
        let x = self.bn2.forward(&self.conv2.forward(&x)?, Activation::LeakyRelu(SLOPE), ctx)?; // (B, C, H, W)
        self.residual.forward(&x, ctx)
    }
}

impl FromConfig for RealImagePath {
    type Config = RealImageConfig;

    fn from_config(cfg: &RealImageConfig, vb: VarBuilder<'_>) -> Result<Self> {
        cfg.validate()?;
        let encoder = |i: usize| Encoder::new(cfg.ngf, vb.pp(format!("h_net{}.img_code_sxx", i + 1)));
        Ok(Self { encoders: (1..cfg.stages).map(encoder).collect::<Result<_>>()?, cfg: cfg.clone() })
    }
}

impl RealImagePath {
    /// H* of `stage`, from real pictures of the side of the stage before.
    ///
    /// # Shapes
    /// `images` `(B, 3, side, side)` in `[-1, 1]`, `side = base 2^(stage - 1)`; the result `(B, ngf, side, side)`.
    ///
    /// # Errors
    /// Stage 0 (it has no SDM), a stage that does not exist, another shape.
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
