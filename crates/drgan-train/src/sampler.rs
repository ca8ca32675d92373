//! Pictures from captions: a generator and its text encoder, in evaluation mode, with noise by number.
use crate::checkpoint::Checkpoint;
use crate::config::RunConfig;
use crate::encoders::Encoders;
use crate::error::TrainError;
use crate::networks::OwnedGenerator;
use crate::run_dir::RunDir;
use crate::state::{self, Phase};
use candle_core::{DType, Device, Tensor};
use drgan_sdm::StageGenerator;
use drgan_tensor::ops::Precision;
use drgan_tensor::{Ctx, GeneratorOutput, Mode};

/// Captions drawn at once: bounds memory, changes no picture.
const CHUNK: usize = 32;

/// How a [`Sampler`] computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// By layers that are packed for the processor; see [`StageGenerator::pack`].
    Packed(Precision),
    /// In double precision by plain-tensor operations: some fifty times slower, to check the others with.
    Exact,
}

impl Arithmetic {
    fn dtype(self) -> DType {
        if self == Self::Exact { DType::F64 } else { DType::F32 }
    }
}

impl From<Precision> for Arithmetic {
    fn from(precision: Precision) -> Self {
        Self::Packed(precision)
    }
}

/// Draws captions, with the generator's weights as they were when it was made.
pub struct Sampler<'a> {
    cfg: &'a RunConfig,
    encoders: &'a Encoders,
    generator: StageGenerator,
    arithmetic: Arithmetic,
}

impl<'a> Sampler<'a> {
    /// Of a generator of `cfg` and the text encoder that it was trained with.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn new(
        cfg: &'a RunConfig,
        encoders: &'a Encoders,
        generator: &OwnedGenerator,
        arithmetic: impl Into<Arithmetic>,
    ) -> Result<Self, TrainError> {
        let arithmetic = arithmetic.into();
        let generator = match arithmetic {
            Arithmetic::Packed(precision) => generator.packed(cfg, precision)?,
            Arithmetic::Exact => generator.exact(cfg)?,
        };
        Ok(Self { cfg, encoders, generator, arithmetic })
    }

    /// The settings of the run.
    pub fn config(&self) -> &RunConfig {
        self.cfg
    }

    /// The text encoder.
    pub fn encoders(&self) -> &Encoders {
        self.encoders
    }

    /// Picture `k` is `captions[k]` under the noise number `noise[k]`. A picture depends on its caption, `seed` and
    /// noise number only.
    ///
    /// # Errors
    /// A caption without a known word.
    pub fn draw(
        &self,
        captions: &[impl AsRef<str>],
        noise: &[u64],
        seed: u64,
    ) -> Result<GeneratorOutput, TrainError> {
        let (mut text, dtype) = (self.encoders.embed(captions)?, self.arithmetic.dtype());
        text.words = text.words.to_dtype(dtype)?;
        text.sentence = text.sentence.to_dtype(dtype)?;
        let (mut z, mut eps) = (Vec::new(), Vec::new());
        for &number in noise {
            let mut ctx = Ctx::with_stream(Mode::Eval, seed, number);
            z.push(ctx.randn((1, self.cfg.generator.nz), DType::F32, &Device::Cpu)?);
            eps.push(ctx.randn((1, self.cfg.generator.nc), DType::F32, &Device::Cpu)?);
        }
        let (z, eps) = (Tensor::cat(&z, 0)?.to_dtype(dtype)?, Tensor::cat(&eps, 0)?.to_dtype(dtype)?);
        let ctx = Ctx::new(Mode::Eval, seed);
        // On a thread of the pool, which need not be woken for every operation.
        let noise = drgan_sdm::GeneratorNoise::new(&z).with_condition(&eps);
        Ok(rayon::scope(|_| self.generator.generate_with(noise, &text, &ctx))?)
    }

    /// The finest pictures only, `(N, 3, side, side)`, in chunks.
    ///
    /// # Errors
    /// As [`Sampler::draw`].
    pub fn pictures(
        &self,
        captions: &[impl AsRef<str>],
        noise: &[u64],
        seed: u64,
    ) -> Result<Tensor, TrainError> {
        let mut parts = Vec::new();
        for (captions, noise) in captions.chunks(CHUNK).zip(noise.chunks(CHUNK)) {
            let made = self.draw(captions, noise, seed)?;
            if let Some(finest) = made.stages.last() {
                parts.push(finest.image.detach().to_dtype(DType::F32)?);
            }
        }
        Ok(Tensor::cat(&parts, 0)?)
    }
}

/// A trained run, read from its folder.
pub struct TrainedRun {
    /// As it was trained.
    pub cfg: RunConfig,
    /// With the trained weights.
    pub encoders: Encoders,
    /// The running average.
    pub generator: OwnedGenerator,
    /// Steps behind it.
    pub step: u64,
    /// KID at one eighth of the run, if it was measured.
    pub early_kid: Option<f64>,
    /// What was wrong with newer checkpoints, if any.
    pub warning: Option<String>,
}

impl TrainedRun {
    /// Reads the last good checkpoint of a run.
    ///
    /// # Errors
    /// No run, no checkpoint, or one of another version.
    pub fn open(run: &RunDir) -> Result<Self, TrainError> {
        let at = run.checkpoints();
        let (checkpoint, warning) = Checkpoint::load_latest_part(&at, &state::SAMPLED)?;
        let cfg = RunConfig::from_toml(&checkpoint.meta::<String>("config", &at)?)?;
        let encoders = Encoders::kept(&cfg, run)?;
        state::restore_encoders(&checkpoint, &encoders)?;
        if state::phase(&checkpoint, &at)? == Phase::Damsm {
            return Err(TrainError::Run(format!(
                "{}: its generator has not been trained yet; go on with: cargo xtask train --resume {}",
                run.path().display(),
                run.path().display()
            )));
        }
        let generator = OwnedGenerator::unset(&cfg)?;
        generator.store.assign(&checkpoint.section("g_avg"))?;
        let step = checkpoint.meta("step", &at)?;
        let early_kid = checkpoint.meta("early_kid", &at).ok();
        Ok(Self { cfg, encoders, generator, step, early_kid, warning: warning.map(|w| w.to_string()) })
    }

    /// Draws with it.
    ///
    /// # Errors
    /// As [`Sampler::new`].
    pub fn sampler(&self, arithmetic: impl Into<Arithmetic>) -> Result<Sampler<'_>, TrainError> {
        Sampler::new(&self.cfg, &self.encoders, &self.generator, arithmetic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use drgan_data::Dataset;
    use drgan_tensor::testing::{Tol, assert_close};

    #[test]
    fn a_picture_depends_on_its_caption_seed_and_noise_number_only() -> Result<(), TrainError> {
        let cfg = RunConfig::resolve("tiny", &Overrides::default())?;
        let data = Dataset::embedded()?;
        let encoders = Encoders::new(&cfg, Encoders::tokenizer_of(&data)?)?;
        let generator = OwnedGenerator::untrained(&cfg)?;
        let sampler = Sampler::new(&cfg, &encoders, &generator, Precision::F32)?;
        let captions = ["a red heart", "a very long caption about a green square with words", "cat"];
        let all = sampler.pictures(&captions, &[0, 1, 2], 5)?;
        let reversed = sampler.pictures(&["cat", captions[1], captions[0]], &[2, 1, 0], 5)?;
        let tol = Tol { rtol: 0., atol: 1e-5 };
        for (i, caption) in captions.iter().enumerate() {
            let alone = sampler.pictures(&[caption], &[i as u64], 5)?.get(0)?;
            assert_close("in a batch", &all.get(i)?, &alone, tol)?;
            assert_close("in another order", &reversed.get(2 - i)?, &alone, tol)?;
        }
        let other = sampler.pictures(&["a red heart"], &[1], 5)?.get(0)?;
        let change = (other - all.get(0)?)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(change > 1e-4, "other noise gives another picture, changed by {change}");
        Ok(())
    }
}
