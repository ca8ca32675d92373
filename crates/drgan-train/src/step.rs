//! One step of the GAN, by hand: every discriminator once, then the generator.
//!
//! The generator's pictures are computed once. Each stage's discriminator then learns from them as constants and,
//! already improved, tells the generator what to change: the gradient of its verdict (and of DAL) with respect to
//! the picture. These branches, and the DAMSM's, know nothing of each other: their order does not matter, and small ones
//! run side by side. The generator's own backward pass starts from the sum of `<picture_i, gradient_i>`, whose gradient is theirs by the chain rule,
//! plus the objectives that look inside it (SDL, RIRM, KL).
use crate::adam::Adam;
use crate::config::LossConfig;
use crate::error::TrainError;
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use drgan_losses::damsm::{self, Gammas};
use drgan_losses::{
    DisentangledFeatures, Reconstruction, dal, discriminator_loss, dnm, generator_loss, kl, reconstruction,
    sdl,
};
use drgan_sdm::RealImagePath;
use drgan_tensor::{Ctx, Discriminator, Generator, GeneratorOutput, ImageEncoder, Mode, TextFeatures, ops};
use rayon::prelude::*;

/// What one step reads.
#[derive(Clone, Debug)]
pub struct StepBatch {
    /// Real pictures, one tensor a stage, `(B, 3, side, side)` in `[-1, 1]`.
    pub images: Vec<Tensor>,
    /// Their captions, as constants.
    pub text: TextFeatures,
    /// Pairs with equal numbers are no mismatches of each other: class ids, or hashes of the records' keys.
    pub groups: Vec<i64>,
}

/// A named number of a step, e.g. `("d32", 1.7)`.
pub type Scalar = (String, f32);

/// One stage's discriminator with everything that belongs to it.
pub struct Adversary {
    /// Takes part in backpropagation.
    pub live: Box<dyn Discriminator + Send + Sync>,
    /// The same weights as constants: what the generator plays against.
    pub frozen: Box<dyn Discriminator + Send + Sync>,
    /// Over the live weights.
    pub opt: Adam,
    /// Its own random stream, so that branches can run in any order.
    pub ctx: Ctx,
}

/// The generator's side of the table.
pub struct Protagonist {
    /// Takes part in backpropagation.
    pub generator: Box<dyn Generator + Send + Sync>,
    /// Noise dimensions.
    pub nz: usize,
    /// Encodes real pictures for the SDL and the RIRM.
    pub real_image: RealImagePath,
    /// Over the generator's weights.
    pub opt: Adam,
    /// Over the real image path's weights.
    pub real_image_opt: Adam,
    /// Random stream of z and the conditioning augmentation.
    pub ctx: Ctx,
}

/// What does not change during training.
pub struct Judge<'a> {
    /// Frozen image encoder of the DAMSM.
    pub encoder: &'a (dyn ImageEncoder + Send + Sync),
    /// Sharpness of attention and matching.
    pub gammas: Gammas,
    /// Weights of the objectives.
    pub loss: &'a LossConfig,
}

/// What a branch tells the generator about a picture.
struct Verdict {
    gradient: Tensor,
    scalars: Vec<Scalar>,
}

/// One step. `lr_scale` multiplies every learning rate. A loss or a gradient that is not finite stops it before the
/// weights that it would change are touched.
///
/// # Errors
/// Shapes that do not fit; [`TrainError::Diverged`] (step and checkpoint left for the caller to fill in) on a loss
/// that is NaN or infinite.
pub fn step(
    hero: &mut Protagonist,
    adversaries: &mut [Adversary],
    judge: &Judge<'_>,
    batch: &StepBatch,
    lr_scale: f64,
) -> Result<Vec<Scalar>, TrainError> {
    // On a thread of the pool, which need not be woken for every operation.
    rayon::scope(|_| on_pool(hero, adversaries, judge, batch, lr_scale))
}

fn on_pool(
    hero: &mut Protagonist,
    adversaries: &mut [Adversary],
    judge: &Judge<'_>,
    batch: &StepBatch,
    lr_scale: f64,
) -> Result<Vec<Scalar>, TrainError> {
    let b = batch.text.sentence.dim(0)?;
    let z = hero.ctx.randn((b, hero.nz), batch.text.sentence.dtype(), batch.text.sentence.device())?;
    let made = hero.generator.generate(&z, &batch.text, &mut hero.ctx)?;
    let finest = made.stages.len() - 1;

    let (verdicts, matching) = judged(&made, adversaries, judge, batch, lr_scale)?;
    let mut scalars = Vec::new();
    let mut total = Tensor::zeros((), made.condition.mu.dtype(), z.device())?;
    for (stage, verdict) in verdicts.into_iter().enumerate() {
        let mut gradient = verdict.gradient;
        if stage == finest {
            gradient = (gradient + &matching.gradient)?;
        }
        total = (total + (&made.stages[stage].image * gradient.detach())?.sum_all()?)?;
        scalars.extend(verdict.scalars);
    }
    scalars.extend(matching.scalars);

    let mut mirrors = None;
    for stage in 1..=finest {
        let Some(split) = &made.stages[stage].disentangled else { continue };
        let (mirror, l) = (hero.reflect(stage, &batch.images[stage - 1], judge.loss)?, judge.loss);
        let image = sdl(DisentangledFeatures {
            key: &split.image.key,
            non_key: &split.image.non_key()?,
            real: &mirror.h_star,
        })?;
        let context = sdl(DisentangledFeatures {
            key: &split.context.key,
            non_key: &split.context.non_key()?,
            real: &mirror.h_star,
        })?;
        let side = batch.images[stage - 1].dim(2)?;
        scalars.push((format!("sdl{side}"), scalar(&(&image + &context)?)?));
        scalars.push((format!("rirm{side}"), mirror.loss));
        total = (total + ((image * l.sdl_image)? + (context * l.sdl_context)?)?)?;
        mirrors = add(mirrors, mirror.gradients)?;
    }
    let condition = kl(&made.condition)?;
    scalars.push(("kl".into(), scalar(&condition)?));
    total = (total + (condition * judge.loss.condition_kl)?)?;
    refuse_non_finite(&scalars)?;
    drop(made);

    let mut gradients = total.backward()?;
    drop(total);
    if let Some(mirrors) = mirrors {
        gradients.extend(mirrors)?;
    }
    refuse_non_finite(&[("gradient of the generator".into(), hero.opt.grad_norm(&gradients)? as f32)])?;
    hero.opt.step(&gradients, lr_scale)?;
    hero.real_image_opt.step(&gradients, lr_scale)?;
    Ok(scalars)
}

/// Pictures of this side on fill the cores by themselves; smaller ones do so side by side.
const LARGE: usize = 128;

/// The verdicts of every discriminator, coarse to fine, and of the DAMSM. Nothing of their graphs is left. Branches of
/// large pictures run one after another, so that the memory they need does not add up.
fn judged(
    made: &GeneratorOutput,
    adversaries: &mut [Adversary],
    judge: &Judge<'_>,
    batch: &StepBatch,
    lr_scale: f64,
) -> Result<(Vec<Verdict>, Verdict), TrainError> {
    let finest = made.stages.len() - 1;
    let alone = made.stages[finest].image.dim(2)? >= LARGE;
    let one = |(i, adversary): (usize, &mut Adversary)| {
        adversary.step(&made.stages[i].image, &batch.images[i], batch, judge, lr_scale)
    };
    let matching = || match_captions(&made.stages[finest].image, batch, judge);
    if alone {
        let verdicts = adversaries.iter_mut().enumerate().map(one).collect::<Result<_, _>>()?;
        return Ok((verdicts, matching()?));
    }
    let (verdicts, matching) = rayon::join(
        || -> Result<Vec<Verdict>, TrainError> {
            // Fine to coarse: the longest branch first.
            let judged: Vec<_> = adversaries.par_iter_mut().enumerate().rev().map(one).collect();
            judged.into_iter().rev().collect()
        },
        matching,
    );
    Ok((verdicts?, matching?))
}

/// What the real image path makes of real pictures.
struct Mirror {
    /// H*, a constant.
    h_star: Tensor,
    /// How far the picture decoded from H* is from the real one.
    loss: f32,
    /// Of that, weighed, for the real image path and for the generator's image head.
    gradients: GradStore,
}

impl Protagonist {
    /// The RIRM of `stage`, with its backward pass: its graph shares nothing with the generator's, so it need not live as long.
    fn reflect(&self, stage: usize, real: &Tensor, l: &LossConfig) -> Result<Mirror, TrainError> {
        let h_star = self.real_image.encode(stage, real, &self.ctx)?;
        let mirrored = self.generator.decode(stage - 1, &h_star, &self.ctx)?;
        let rirm = reconstruction(&mirrored, real)?;
        let loss = scalar(&rirm)?;
        Ok(Mirror { h_star: h_star.detach(), loss, gradients: (rirm * l.rirm)?.backward()? })
    }
}

/// The sum of two sets of gradients.
fn add(to: Option<GradStore>, more: GradStore) -> Result<Option<GradStore>, TrainError> {
    Ok(Some(match to {
        Some(mut sum) => {
            sum.extend(more)?;
            sum
        }
        None => more,
    }))
}

/// Whether the networks still give numbers, and gradients: what a checkpoint is held to before it becomes the last good
/// one. A frozen pass on `batch`; nothing changes, not even a random stream.
///
/// # Errors
/// [`TrainError::Diverged`] where a picture, a verdict, a reconstruction or the generator's gradient is not finite.
pub fn probe(hero: &Protagonist, adversaries: &[Adversary], batch: &StepBatch) -> Result<(), TrainError> {
    let mut ctx = hero.ctx.clone();
    ctx.mode = Mode::Frozen;
    let z = ctx.randn(
        (batch.text.sentence.dim(0)?, hero.nz),
        batch.text.sentence.dtype(),
        batch.text.sentence.device(),
    )?;
    let made = hero.generator.generate(&z, &batch.text, &mut ctx)?;
    let mut sums = Vec::new();
    let mut total = Tensor::zeros((), made.condition.mu.dtype(), z.device())?;
    for (stage, adversary) in made.stages.iter().zip(adversaries) {
        let said = adversary.frozen.discriminate(&stage.image, &batch.text.sentence, &mut ctx)?;
        let side = adversary.live.side();
        let means = [
            ("picture", stage.image.mean_all()?),
            ("verdict", said.conditional.mean_all()?),
            ("reconstruction", said.reconstruction.mean_all()?),
        ];
        for (name, mean) in means {
            sums.push((format!("{name} {side} after the step"), scalar(&mean)?));
            total = (total + mean)?;
        }
    }
    let norm = hero.opt.grad_norm(&total.backward()?)?;
    sums.push(("gradient of the generator after the step".into(), norm as f32));
    refuse_non_finite(&sums)
}

impl Adversary {
    /// Learns from one batch, then judges the same pictures for the generator.
    fn step(
        &mut self,
        fake: &Tensor,
        real: &Tensor,
        batch: &StepBatch,
        judge: &Judge<'_>,
        lr_scale: f64,
    ) -> Result<Verdict, TrainError> {
        let side = self.live.side();
        let sentence = &batch.text.sentence;
        let (loss_d, loss_dnm) = {
            let fake = fake.detach();
            self.ctx.mode = Mode::Train;
            let on_real = self.live.discriminate(real, sentence, &mut self.ctx)?;
            let on_fake = self.live.discriminate(&fake, sentence, &mut self.ctx)?;
            let wrong = self.wrong_pairs(&on_real.features, sentence, &batch.groups)?;
            let adversarial = discriminator_loss((&on_real).into(), (&on_fake).into(), wrong.as_ref())?;
            let s = on_real.reconstruction.dim(2)?;
            let dnm = dnm(
                Reconstruction::new(&on_fake, &ops::resize_area(&fake, s, s)?),
                Reconstruction::new(&on_real, &ops::resize_area(real, s, s)?),
            )?;
            let values = (scalar(&adversarial)?, scalar(&dnm)?);
            refuse_non_finite(&[(format!("d{side}"), values.0), (format!("dnm{side}"), values.1)])?;
            let gradients = (adversarial + (dnm * judge.loss.dnm)?)?.backward()?;
            refuse_non_finite(&[(format!("gradient of d{side}"), self.opt.grad_norm(&gradients)? as f32)])?;
            self.opt.step(&gradients, lr_scale)?;
            values
        };

        let picture = Var::from_tensor(&fake.detach())?;
        self.ctx.mode = Mode::Frozen;
        let said = self.frozen.discriminate(&picture, sentence, &mut self.ctx)?;
        let adversarial = generator_loss((&said).into())?;
        let s = said.reconstruction.dim(2)?;
        let dal = dal(&said.reconstruction, &ops::resize_area(real, s, s)?)?;
        let scalars = vec![
            (format!("d{side}"), loss_d),
            (format!("dnm{side}"), loss_dnm),
            (format!("g{side}"), scalar(&adversarial)?),
            (format!("dal{side}"), scalar(&dal)?),
        ];
        let gradient = gradient_of(&(adversarial + (dal * judge.loss.dal)?)?, &picture)?;
        Ok(Verdict { gradient, scalars })
    }

    /// Logits of real pictures beside the next caption, where that one belongs to another group.
    fn wrong_pairs(
        &mut self,
        features: &Tensor,
        sentence: &Tensor,
        groups: &[i64],
    ) -> Result<Option<Tensor>, TrainError> {
        let next = |i: usize| (i + 1) % groups.len();
        let rows: Vec<u32> =
            (0..groups.len()).filter(|&i| groups[i] != groups[next(i)]).map(|i| i as u32).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let captions: Vec<u32> = rows.iter().map(|&i| next(i as usize) as u32).collect();
        let pick = |t: &Tensor, rows: Vec<u32>| {
            t.index_select(&Tensor::new(rows, t.device())?, 0) // rows of one batch
        };
        let features = if rows.len() == groups.len() { features.clone() } else { pick(features, rows)? };
        Ok(Some(self.live.match_sentence(&features, &pick(sentence, captions)?, &mut self.ctx)?))
    }
}

/// The DAMSM's verdict on the finest pictures.
fn match_captions(fake: &Tensor, batch: &StepBatch, judge: &Judge<'_>) -> Result<Verdict, TrainError> {
    let picture = Var::from_tensor(&fake.detach())?;
    let features = judge.encoder.encode_image(&picture)?;
    let loss = damsm::damsm(&features, &batch.text, Some(&batch.groups), judge.gammas)?;
    let scalars = vec![("damsm".to_owned(), scalar(&loss)?)];
    let gradient = gradient_of(&(loss * judge.loss.lambda)?, &picture)?;
    Ok(Verdict { gradient, scalars })
}

fn gradient_of(loss: &Tensor, x: &Var) -> Result<Tensor, TrainError> {
    match loss.backward()?.remove(x) {
        Some(g) => Ok(g),
        None => Ok(x.zeros_like()?),
    }
}

/// A scalar tensor's value.
pub(crate) fn scalar(t: &Tensor) -> Result<f32, TrainError> {
    Ok(t.to_dtype(candle_core::DType::F32)?.to_scalar::<f32>()?)
}

/// The first loss that is NaN or infinite becomes an error.
pub(crate) fn refuse_non_finite(scalars: &[Scalar]) -> Result<(), TrainError> {
    match scalars.iter().find(|(_, v)| !v.is_finite()) {
        Some((loss, value)) => Err(TrainError::Diverged {
            loss: loss.clone(),
            value: *value,
            phase: "gan",
            step: 0,
            checkpoint: None,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
