//! Networks of a handful of parameters behind the role traits, and a batch for them; everything in f64.
use super::super::StepBatch;
use candle_core::{DType, Device, Result as CandleResult, Tensor};
use drgan_losses::damsm::Gammas;
use drgan_sdm::{RealImageConfig, RealImagePath};
use drgan_tensor::VarBuilder;
use drgan_tensor::nn::{Conv2d, Linear};
use drgan_tensor::{
    Ctx, Discriminator, DiscriminatorOutput, Disentangled, FromConfig, Gaussian, Generator, GeneratorOutput,
    ImageEncoder, ImageFeatures, MaskedSplit, Mode, ParamStore, Result, StageOutput, TextFeatures, ops,
};

/// Number of dimensions of the noise z.
pub(super) const NZ: usize = 3;
/// Side of the discriminators' reconstructions.
pub(super) const RECONSTRUCTED: usize = 4;
/// Channels of every feature map.
const CHANNELS: usize = 2;
/// Dimensions of words and sentences.
const TEXT: usize = 4;
/// Side of the first stage, the smallest that a real image path takes.
const BASE: usize = 16;

/// Side of a stage's images.
pub(super) fn side(stage: usize) -> usize {
    BASE << stage
}

/// Factors of the DAMSM that differ from the defaults.
pub(super) fn gammas() -> Gammas {
    Gammas { attention: 3., words: 2., batch: 5. }
}

/// The real one, as small as it can be.
pub(super) fn real_image_path(stages: usize, vb: VarBuilder<'_>) -> Result<RealImagePath> {
    let cfg = RealImageConfig { stages, base: BASE, ngf: CHANNELS, ..RealImageConfig::default() };
    RealImagePath::from_config(&cfg, vb)
}

fn noise(ctx: &mut Ctx, shape: &[usize]) -> Result<Tensor> {
    ctx.randn(shape, DType::F64, &Device::Cpu)
}

fn flat(x: &Tensor) -> CandleResult<Tensor> {
    x.flatten_from(1)
}

/// Noise and a sentence to a map, and per further stage a mask of it, a context, and a map of twice the side.
pub(super) struct TinyGenerator {
    condition: Linear,
    first: Linear,
    words: Linear,
    masks: Vec<Conv2d>,
    mixers: Vec<Conv2d>,
    heads: Vec<Conv2d>,
}

impl TinyGenerator {
    pub(super) fn new(stages: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let maps = |name: &str, from: usize, out: usize| -> Result<Vec<Conv2d>> {
            (from..stages).map(|i| Conv2d::pointwise(CHANNELS, out, vb.pp(format!("{name}{i}")))).collect()
        };
        Ok(Self {
            condition: Linear::new(TEXT, 2 * NZ, vb.pp("condition"))?,
            first: Linear::new(2 * NZ, CHANNELS * 16, vb.pp("first"))?,
            words: Linear::new(TEXT, CHANNELS, vb.pp("words"))?,
            masks: maps("mask", 1, CHANNELS)?,
            mixers: maps("mixer", 1, CHANNELS)?,
            heads: maps("head", 0, 3)?,
        })
    }

    fn head(&self, stage: usize, h: &Tensor) -> Result<Tensor> {
        Ok(self.heads[stage].forward(h)?.tanh()?)
    }
}

impl Generator for TinyGenerator {
    fn generate(&self, z: &Tensor, text: &TextFeatures, ctx: &mut Ctx) -> Result<GeneratorOutput> {
        let b = z.dim(0)?;
        let posterior = self.condition.forward(&text.sentence)?;
        let condition = Gaussian {
            mu: posterior.narrow(1, 0, NZ)?.contiguous()?,
            logvar: posterior.narrow(1, NZ, NZ)?.contiguous()?,
        };
        let c = condition.sample(&noise(ctx, &[b, NZ])?)?;
        let h = self.first.forward(&Tensor::cat(&[z, &c], 1)?)?;
        let mut h = h.reshape((b, CHANNELS, 4, 4))?.upsample_nearest2d(BASE, BASE)?; // (B, C, base, base)
        let words = self.words.forward(&text.words.mean(2)?)?.reshape((b, CHANNELS, 1, 1))?;
        let mut stages = vec![StageOutput { image: self.head(0, &h)?, attention: None, disentangled: None }];
        for (i, (mask, mixer)) in self.masks.iter().zip(&self.mixers).enumerate() {
            let context = h.broadcast_mul(&words)?;
            let image = MaskedSplit::new(&h, &mask.forward(&h)?, 2.)?;
            let context = MaskedSplit::new(&context, &mask.forward(&context)?, 1.5)?;
            let mixed = mixer.forward(&(&image.key + &context.key)?)?;
            h = mixed.upsample_nearest2d(side(i + 1), side(i + 1))?;
            let disentangled = Some(Disentangled { image, context });
            stages.push(StageOutput { image: self.head(i + 1, &h)?, attention: None, disentangled });
        }
        Ok(GeneratorOutput { stages, condition })
    }

    fn decode(&self, stage: usize, features: &Tensor, _: &Ctx) -> Result<Tensor> {
        self.head(stage, features)
    }
}

/// Means over 4x4 blocks of a map, and linear heads.
pub(super) struct TinyDiscriminator {
    side: usize,
    map: Conv2d,
    unconditional: Linear,
    conditional: Linear,
    latent: Linear,
    decoder: Linear,
}

impl TinyDiscriminator {
    pub(super) fn new(side: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let features = CHANNELS * 16;
        Ok(Self {
            side,
            map: Conv2d::pointwise(3, CHANNELS, vb.pp("map"))?,
            unconditional: Linear::new(features, 1, vb.pp("unconditional"))?,
            conditional: Linear::new(features + TEXT, 1, vb.pp("conditional"))?,
            latent: Linear::new(features, 2 * NZ, vb.pp("latent"))?,
            decoder: Linear::new(NZ, 3 * RECONSTRUCTED * RECONSTRUCTED, vb.pp("decoder"))?,
        })
    }
}

impl Discriminator for TinyDiscriminator {
    fn side(&self) -> usize {
        self.side
    }

    fn discriminate(&self, images: &Tensor, sentence: &Tensor, ctx: &mut Ctx) -> Result<DiscriminatorOutput> {
        let b = images.dim(0)?;
        let features = ops::resize_area(&self.map.forward(images)?.tanh()?, 4, 4)?;
        let posterior = self.latent.forward(&flat(&features)?)?;
        let latent = Gaussian {
            mu: posterior.narrow(1, 0, NZ)?.contiguous()?,
            logvar: posterior.narrow(1, NZ, NZ)?.contiguous()?,
        };
        let decoded = self.decoder.forward(&latent.sample(&noise(ctx, &[b, NZ])?)?)?.tanh()?;
        Ok(DiscriminatorOutput {
            unconditional: self.unconditional.forward(&flat(&features)?)?.squeeze(1)?,
            conditional: self.match_sentence(&features, sentence, ctx)?,
            latent,
            reconstruction: decoded.reshape((b, 3, RECONSTRUCTED, RECONSTRUCTED))?,
            features,
        })
    }

    fn match_sentence(&self, features: &Tensor, sentence: &Tensor, _: &mut Ctx) -> Result<Tensor> {
        let both = Tensor::cat(&[&flat(features)?, sentence], 1)?.sqr()?;
        Ok(self.conditional.forward(&both)?.squeeze(1)?)
    }
}

/// The DAMSM's image side: constants.
pub(super) struct TinyEncoder {
    regions: Conv2d,
}

impl TinyEncoder {
    pub(super) fn new() -> Result<Self> {
        let store = ParamStore::seeded(99);
        Conv2d::pointwise(3, TEXT, store.builder(DType::F64, &Device::Cpu))?; // makes the values
        Ok(Self { regions: Conv2d::pointwise(3, TEXT, store.frozen(DType::F64, &Device::Cpu))? })
    }
}

impl ImageEncoder for TinyEncoder {
    fn encode_image(&self, images: &Tensor) -> Result<ImageFeatures> {
        let regions = ops::resize_area(&self.regions.forward(images)?.tanh()?, 2, 2)?;
        let code = regions.sqr()?.mean((2, 3))?;
        Ok(ImageFeatures { regions, code })
    }
}

/// Real images and captions of three lengths, the same each time.
pub(super) fn batch(stages: usize, groups: &[i64]) -> Result<StepBatch> {
    let (b, t, mut ctx) = (groups.len(), 3, Ctx::new(Mode::Eval, 7));
    let images = (0..stages).map(|i| Ok(noise(&mut ctx, &[b, 3, side(i), side(i)])?.tanh()?));
    let images = images.collect::<Result<_>>()?;
    let lens: Vec<usize> = (0..b).map(|i| 1 + i % t).collect();
    let padding = lens.iter().flat_map(|&len| (0..t).map(move |i| u8::from(i >= len)));
    let mask = Tensor::from_iter(padding, &Device::Cpu)?.reshape((b, t))?;
    let there = mask.to_dtype(DType::F64)?.affine(-1., 1.)?.unsqueeze(1)?; // (B, 1, T)
    let text = TextFeatures {
        words: noise(&mut ctx, &[b, TEXT, t])?.broadcast_mul(&there)?,
        sentence: noise(&mut ctx, &[b, TEXT])?,
        mask,
        lens,
    };
    Ok(StepBatch { images, text, labels: groups.to_vec().into() })
}
