//! What a user waits for, ready to be timed: a caption's image, and a training step. Never trained: weights are the
//! golden files' rule's.
use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use drgan_sdm::{GeneratorNoise, StageGenerator};
use drgan_tensor::ops::Precision;
use drgan_tensor::testing::Fill;
use drgan_tensor::{Ctx, FromConfig, Mode, ParamStore, TextFeatures};
use drgan_text::{DamsmImageEncoder, ImageEncoderConfig};
use drgan_train::config::RunConfig;
use drgan_train::gan::{Networks, Objective, Scalar, StepBatch};

/// Salt of the weights, the golden files'.
pub const SALT: &str = "seed-a";

/// Gives every value of `store` what the fill rule says; `prefix` stands before each name.
///
/// # Errors
/// Whatever candle reports.
pub fn fill(store: &ParamStore, prefix: &str) -> Result<()> {
    let rule = Fill::new(SALT, prefix);
    let value = |(name, _, var): (String, _, candle_core::Var)| {
        let tensor = Tensor::from_vec(rule.values(&name, var.dims()), var.shape(), &Device::Cpu)?;
        Ok((name, tensor))
    };
    store.assign(&store.all().into_iter().map(value).collect::<Result<_>>()?)?;
    Ok(())
}

/// Made-up captions on a device, as long as the run's longest and shorter.
///
/// # Errors
/// Whatever candle reports.
pub fn captions(cfg: &RunConfig, batch: usize, ctx: &mut Ctx, device: &Device) -> Result<TextFeatures> {
    let (dims, t) = (cfg.text.words_dim, cfg.damsm.max_words);
    let lens: Vec<usize> = (0..batch).map(|i| t.saturating_sub(i % 4 * 2).max(1)).collect();
    let mask = lens.iter().flat_map(|&len| (0..t).map(move |i| u8::from(i >= len)));
    let mask = Tensor::from_iter(mask, device)?.reshape((batch, t))?;
    let real = mask.to_dtype(DType::F32)?.affine(-1., 1.)?.unsqueeze(1)?; // (B, 1, T)
    Ok(TextFeatures {
        words: ctx.randn((batch, dims, t), DType::F32, device)?.tanh()?.broadcast_mul(&real)?,
        sentence: ctx.randn((batch, dims), DType::F32, device)?.tanh()?,
        mask,
        lens,
    })
}

/// The run's image encoder, its backbone's weights made up.
///
/// # Errors
/// A configuration value out of range.
pub fn image_encoder(cfg: &RunConfig, device: &Device) -> Result<DamsmImageEncoder> {
    let image = &cfg.image_encoder;
    let shape = ImageEncoderConfig { backbone: image.backbone, side: image.side };
    let [backbone, projection] =
        ["backbone.", "projection."].map(|p| Fill::new(SALT, p).builder().set_device(device.clone()));
    Ok(DamsmImageEncoder::from_config(&shape, cfg.text.words_dim, backbone, projection)?)
}

/// Captions' features to their finest images, by a generator packed as `drgan sample` packs it.
#[derive(Debug)]
pub struct Inference {
    generator: StageGenerator,
    /// The noise z, `(B, nz)`.
    pub z: Tensor,
    /// Noise of the conditioning augmentation.
    pub eps: Tensor,
    /// Features of the captions.
    pub text: TextFeatures,
}

impl Inference {
    /// A generator on a device for `batch` images at once, with its inputs.
    ///
    /// # Errors
    /// A configuration value out of range.
    pub fn new(cfg: &RunConfig, batch: usize, precision: Precision, device: &Device) -> Result<Self> {
        let store = ParamStore::zeroed();
        // Registers the names; what draws is built from constants, as inference should be.
        StageGenerator::from_config(&cfg.generator, store.builder(DType::F32, device))?;
        fill(&store, "generator.")?;
        let generator =
            StageGenerator::from_config(&cfg.generator, store.frozen(DType::F32, device))?.pack(precision)?;
        let mut ctx = Ctx::new(Mode::Eval, 1);
        let text = captions(cfg, batch, &mut ctx, device)?;
        let z = ctx.randn((batch, cfg.generator.nz), DType::F32, device)?;
        let eps = ctx.randn((batch, cfg.generator.nc), DType::F32, device)?;
        Ok(Self { generator, z, eps, text })
    }

    /// Draws the images of the finest stage.
    ///
    /// # Errors
    /// Whatever candle reports.
    pub fn draw(&self) -> Result<Tensor> {
        let ctx = Ctx::new(Mode::Eval, 0);
        // On a thread of the pool, as `drgan sample` does.
        let noise = GeneratorNoise::new(&self.z).with_condition(&self.eps);
        let made = rayon::scope(|_| self.generator.generate_with(noise, &self.text, &ctx))?;
        Ok(made.stages.into_iter().next_back().context("a generator has a stage")?.image)
    }
}

/// One training step: every discriminator, the generator, the optimizers, the exponential moving average.
#[derive(Debug)]
pub struct Step {
    /// The settings of the run.
    pub cfg: RunConfig,
    /// The networks that the step trains.
    pub networks: Networks,
    /// What every step learns from.
    pub batch: StepBatch,
    encoder: DamsmImageEncoder,
    done: u64,
}

impl Step {
    /// A step at the configuration's batch, on a device.
    ///
    /// # Errors
    /// A configuration value out of range.
    pub fn new(cfg: &RunConfig, device: &Device) -> Result<Self> {
        let networks = Networks::new(cfg, device)?;
        fill(&networks.generator.store, "generator.")?;
        fill(networks.ema.average(), "generator.")?;
        fill(&networks.real_image.store, "real_image.")?;
        for d in &networks.discriminators {
            fill(&d.store, &format!("discriminator{}.", d.network.side()))?;
        }
        let (b, mut ctx) = (cfg.loader.batch, Ctx::new(Mode::Eval, 1));
        let mut values = |side: usize| -> Result<Tensor> {
            Ok(ctx.randn((b, 3, side, side), DType::F32, device)?.tanh()?) // in [-1, 1]
        };
        let images = cfg.sides().into_iter().map(&mut values).collect::<Result<_>>()?;
        let text = captions(cfg, b, &mut ctx, device)?;
        let batch = StepBatch { images, text, labels: (0..b as i64).collect::<Vec<_>>().into() };
        Ok(Self { cfg: cfg.clone(), networks, batch, encoder: image_encoder(cfg, device)?, done: 0 })
    }

    /// The next step; `lr_scale` multiplies every learning rate.
    ///
    /// # Errors
    /// As [`Networks::step`].
    pub fn run(&mut self, lr_scale: f64) -> Result<Vec<Scalar>> {
        let Self { cfg, networks, encoder, batch, done } = self;
        let objective = Objective { image_encoder: encoder, gammas: cfg.damsm.gammas, weights: &cfg.loss };
        let scalars = networks.step(*done, &objective, batch, lr_scale)?;
        *done += 1;
        Ok(scalars)
    }
}

/// A field of /proc/self/status in bytes: `VmRSS`, or `VmHWM`.
///
/// # Errors
/// There is no such file (not Linux) or field.
pub fn resident(field: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with(field)).with_context(|| format!("no {field}"))?;
    let kib: u64 = line.split_whitespace().nth(1).unwrap_or_default().parse()?;
    Ok(1024 * kib)
}
