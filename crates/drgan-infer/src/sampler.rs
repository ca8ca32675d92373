//! [`Sampler`]: images from captions, with noise by number.
use crate::{Model, noise};
use candle_core::{DType, Tensor};
use drgan_sdm::{GeneratorNoise, StageGenerator};
use drgan_tensor::internal::counted;
use drgan_tensor::ops::Precision;
use drgan_tensor::weights::Tensors;
use drgan_tensor::{Ctx, Error, FromConfig, GeneratorOutput, Mode, Result, TextFeatures, builder_over};
use std::sync::Arc;

/// Captions drawn at once: bounds memory, changes no image.
const CHUNK: usize = 32;

/// How a [`Sampler`] computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arithmetic {
    /// By layers that are packed for the processor; see [`StageGenerator::pack`].
    Packed(Precision),
    /// In double precision by the reference operations: some fifty times slower, to check the others with.
    Exact,
}

impl Arithmetic {
    fn dtype(self) -> DType {
        if self == Self::Exact { DType::F64 } else { DType::F32 }
    }
}

impl std::fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Packed(precision) => precision.fmt(f),
            Self::Exact => f.write_str("f64"),
        }
    }
}

impl From<Precision> for Arithmetic {
    fn from(precision: Precision) -> Self {
        Self::Packed(precision)
    }
}

/// Draws captions. It copies the generator's weights when it is made: later changes of the model's do not show. The text
/// encoder is the model's own. Clones share everything.
#[derive(Clone, Debug)]
pub struct Sampler {
    model: Model,
    generator: Arc<StageGenerator>,
    arithmetic: Arithmetic,
    truncation: Option<f64>,
}

impl Sampler {
    /// A sampler of `model`; copies the generator's weights and packs its layers.
    ///
    /// # Errors
    /// Weights of other shapes than the configuration's.
    pub fn new(model: &Model, arithmetic: impl Into<Arithmetic>) -> Result<Self> {
        let arithmetic = arithmetic.into();
        // Copies, as the store's own tensors change with it; constants, so that no graph is kept while it draws.
        let copy = |(name, t): (String, Tensor)| Ok((name, t.copy()?));
        let weights = model.generator().views().into_iter().map(copy).collect::<Result<Tensors>>()?;
        let weights = builder_over(weights, arithmetic.dtype(), model.device());
        let generator = StageGenerator::from_config(&model.config().generator, weights)?;
        let generator = match arithmetic {
            Arithmetic::Packed(precision) => generator.pack(precision)?,
            Arithmetic::Exact => generator,
        };
        Ok(Self { model: model.clone(), generator: Arc::new(generator), arithmetic, truncation: None })
    }

    /// The same with noise of which values beyond `limit` are drawn again, at least 0.01: below 2, images vary less from noise to noise
    /// and are more often good (the truncation trick).
    #[must_use]
    pub fn with_truncation(self, limit: f64) -> Self {
        Self { truncation: Some(limit), ..self }
    }

    /// How it computes.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// The model that it draws with.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// All stages' images, attention and masks: image `k` is `captions[k]` under the noise number `noise[k]`. An image
    /// depends on its caption, `seed` and noise number only.
    ///
    /// # Errors
    /// No caption, one without a known word; another number of captions than of noise numbers; a truncation below 0.01.
    pub fn draw(&self, captions: &[impl AsRef<str>], noise: &[u64], seed: u64) -> Result<GeneratorOutput> {
        check_pairs(captions.len(), noise.len())?;
        self.draw_features(self.model.captions().embed(captions)?, &self.noise(noise, seed)?)
    }

    /// The noise `z` and that of the conditioning augmentation under these noise numbers: what another program needs to draw the same
    /// images with an exported model.
    ///
    /// # Shapes
    /// N numbers give `(N, nz)` and `(N, nc)`.
    ///
    /// # Errors
    /// No number; a truncation below 0.01.
    pub fn noise(&self, numbers: &[u64], seed: u64) -> Result<[Tensor; 2]> {
        let dtype = self.arithmetic.dtype();
        let (z, eps) =
            noise::noise(&self.model.config().generator, numbers, seed, dtype, self.model.device())?;
        match self.truncation {
            None => Ok([z, eps]),
            // What is drawn again for one must not be drawn for the other.
            Some(limit) => Ok([
                noise::truncated(&z, numbers, seed, limit)?,
                noise::truncated(&eps, numbers, !seed, limit)?,
            ]),
        }
    }

    /// All stages' images for features of captions under their noise.
    pub(crate) fn draw_features(
        &self,
        mut text: TextFeatures,
        [z, eps]: &[Tensor; 2],
    ) -> Result<GeneratorOutput> {
        let dtype = self.arithmetic.dtype();
        text.words = text.words.to_dtype(dtype)?;
        text.sentence = text.sentence.to_dtype(dtype)?;
        // Nothing is drawn from it: all noise is given.
        let ctx = Ctx::new(Mode::Eval, 0);
        let noise = GeneratorNoise::new(z).with_condition(eps);
        // On a thread of the pool, which need not be woken for every operation.
        rayon::scope(|_| self.generator.generate_with(noise, &text, &ctx))
    }

    /// The finest images only, drawn in chunks.
    ///
    /// # Shapes
    /// `(N, 3, side, side)`, f32, in `[-1, 1]`.
    ///
    /// # Errors
    /// As [`Sampler::draw`].
    pub fn images(&self, captions: &[impl AsRef<str>], noise: &[u64], seed: u64) -> Result<Tensor> {
        check_pairs(captions.len(), noise.len())?;
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

/// # Errors
/// Numbers of captions and of noise numbers that are 0 or differ.
fn check_pairs(captions: usize, noise: usize) -> Result<()> {
    if captions == 0 || captions != noise {
        return Err(Error::input(format!(
            "{} and {}; give one noise number for each caption, and one caption or more",
            counted(captions, "caption[|s]"),
            counted(noise, "noise number[|s]")
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::small_model;
    use drgan_tensor::testing::{Tol, assert_close};

    #[test]
    fn an_image_depends_on_its_caption_seed_and_noise_number_only() -> Result<()> {
        let sampler = Sampler::new(&small_model()?, Precision::F32)?;
        let captions = ["a red heart", "a very long caption about a green square with words", "cat"];
        let all = sampler.images(&captions, &[0, 1, 2], 5)?;
        let reversed = sampler.images(&["cat", captions[1], captions[0]], &[2, 1, 0], 5)?;
        let tol = Tol { rtol: 0., atol: 1e-5 };
        for (i, caption) in captions.iter().enumerate() {
            let alone = sampler.images(&[caption], &[i as u64], 5)?.get(0)?;
            assert_close("in a batch", &all.get(i)?, &alone, tol)?;
            assert_close("in another order", &reversed.get(2 - i)?, &alone, tol)?;
        }
        let other = sampler.images(&["a red heart"], &[1], 5)?.get(0)?;
        let change = (other - all.get(0)?)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(change > 1e-4, "other noise gives another image, changed by {change}");
        Ok(())
    }

    #[test]
    fn captions_and_noise_numbers_come_in_pairs() -> Result<()> {
        let sampler = Sampler::new(&small_model()?, Precision::F32)?;
        for (captions, noise) in [(40, 39), (39, 40), (64, 32), (1, 0), (0, 1), (0, 0)] {
            let (words, numbers) = (vec!["a red heart"; captions], vec![0; noise]);
            let images = sampler.images(&words, &numbers, 1).expect_err("refused");
            let drawn = sampler.draw(&words, &numbers, 1).expect_err("refused");
            for said in [images.to_string(), drawn.to_string()] {
                assert!(
                    said.contains(&format!(
                        "{} and {}",
                        counted(captions, "caption[|s]"),
                        counted(noise, "noise number[|s]")
                    )),
                    "{said}"
                );
            }
        }
        Ok(())
    }

    #[test]
    fn later_changes_of_the_generator_do_not_show() -> Result<()> {
        for arithmetic in [Arithmetic::Packed(Precision::F32), Arithmetic::Exact] {
            let model = small_model()?;
            let sampler = Sampler::new(&model, arithmetic)?;
            let before = sampler.images(&["a red heart"], &[0], 1)?;
            for (_, _, var) in model.generator().all() {
                var.set(&(var.as_tensor() * 2.)?)?;
            }
            assert_close("as before", &sampler.images(&["a red heart"], &[0], 1)?, &before, Tol::EXACT)?;
            let anew = Sampler::new(&model, arithmetic)?.images(&["a red heart"], &[0], 1)?;
            let change = (anew - before)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(change > 1e-4, "a new sampler has the new weights, changed by {change}");
        }
        Ok(())
    }

    #[test]
    fn a_sampler_outlives_its_model_and_draws_on_any_thread() -> Result<()> {
        fn shareable<T: Clone + Send + Sync + 'static>(value: T) -> T {
            value
        }
        let sampler = shareable(Sampler::new(&shareable(small_model()?), Arithmetic::Exact)?);
        let here = sampler.images(&["a red heart"], &[0], 1)?;
        let there = std::thread::spawn({
            let sampler = sampler.clone();
            move || sampler.images(&["a red heart"], &[0], 1)
        });
        let there = there.join().expect("the thread does not panic")?;
        assert_close("on another thread", &there, &here, Tol::EXACT)?;
        let packed = Sampler::new(sampler.model(), Precision::F32)?.images(&["a red heart"], &[0], 1)?;
        assert_close("packed", &packed, &here, Tol { rtol: 0., atol: 1e-4 })
    }
}
