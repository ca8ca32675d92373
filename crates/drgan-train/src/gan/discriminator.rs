//! One stage's discriminator: its own gradients, and what it tells the generator about an image.
use super::augment::Seen;
use super::batch::StepBatch;
use super::finite::{Reports, Scalar};
use super::labels::PairLabels;
use super::objective::{Objective, Terms};
use crate::config::AugmentConfig;
use crate::error::TrainError;
use crate::optim::{Gradients, Optimizer};
use crate::run::{Checkpoint, Checkpointed, section};
use candle_core::{Tensor, Var};
use drgan_losses::{Reconstruction, dal, discriminator_loss, dnm, generator_loss};
use drgan_tensor::{Ctx, Discriminator, Mode, ParamStore, ops};

/// A discriminator with everything that belongs to it.
pub struct DiscriminatorTrainer {
    /// The discriminator's stage, from 0, coarse to fine.
    pub stage: usize,
    /// The network whose weights receive gradients.
    pub network: Box<dyn Discriminator + Send + Sync>,
    /// The same weights as constants: what the generator's losses go through.
    pub frozen: Box<dyn Discriminator + Send + Sync>,
    /// The weights of `network` and `frozen`.
    pub store: ParamStore,
    /// The optimizer of the weights.
    pub optimizer: Box<dyn Optimizer>,
    /// How images are changed before the discriminator sees them; the probability is that of the next step.
    pub augment: AugmentConfig,
    /// Random stream of this discriminator alone, so that discriminators can be trained in any order.
    pub ctx: Ctx,
}

impl std::fmt::Debug for DiscriminatorTrainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiscriminatorTrainer").field("side", &self.network.side()).finish_non_exhaustive()
    }
}

/// The gradient of the sum of `terms`, which are reported, with respect to generated images, `(B, 3, side, side)`: all that
/// the generator's step needs of them.
pub(super) fn image_gradient_of(
    terms: Terms,
    images: &Var,
    reports: &mut Reports,
) -> Result<Tensor, TrainError> {
    terms.report(reports);
    let found = match terms.add_to(None)? {
        Some(loss) => ops::backward(&loss)?.remove(images),
        None => None,
    };
    Ok(found.map_or_else(|| images.zeros_like(), Ok)?)
}

impl DiscriminatorTrainer {
    /// Learns from the stage's generated images `fake`, as constants, and its real ones; then, already improved, tells the
    /// generator how `fake` should change. Real and generated images are augmented alike, in both.
    pub(super) fn step(
        &mut self,
        fake: &Tensor,
        batch: &StepBatch,
        objective: &Objective<'_>,
        lr_scale: f64,
        reports: &mut Reports,
    ) -> Result<Tensor, TrainError> {
        let (images, device) = (fake.dim(0)?, fake.device());
        let seen = Seen::draw(&self.augment, self.ctx.rng(), images, self.network.side(), device)?;
        let real = &seen.of(&batch.images[self.stage])?;
        let gradients = self.compute_gradients(&seen.of(&fake.detach())?, real, batch, objective, reports)?;
        // The gradients are complete and not yet applied.
        self.apply(gradients, lr_scale, reports)?;
        self.image_gradient((fake, &seen), real, &batch.text.sentence, objective, reports)
    }

    /// Lets the probability of the augmentation follow the signs that a step of `images` images reported, where it does.
    pub(super) fn adapt(&mut self, scalars: &mut Vec<Scalar>, images: usize) {
        let name = self.sign_name();
        if let Some((_, sign)) = scalars.iter().find(|(of, _)| *of == name) {
            self.augment.adapt(f64::from(*sign), images);
            scalars.push((format!("augment{}", self.network.side()), self.augment.probability as f32));
        }
    }

    /// What the mean sign of the logits of real images is reported as.
    fn sign_name(&self) -> String {
        format!("sign{}", self.network.side())
    }

    /// The gradients of the discriminator's objective; its losses `d` (adversarial) and `dnm` are reported.
    fn compute_gradients(
        &mut self,
        fake: &Tensor,
        real: &Tensor,
        batch: &StepBatch,
        objective: &Objective<'_>,
        reports: &mut Reports,
    ) -> Result<Gradients, TrainError> {
        let (side, sentence) = (self.network.side(), &batch.text.sentence);
        self.ctx.mode = Mode::Train;
        let on_real = self.network.discriminate(real, sentence, &mut self.ctx)?;
        let on_fake = self.network.discriminate(fake, sentence, &mut self.ctx)?;
        let wrong = self.wrong_pairs(&on_real.features, sentence, &batch.labels)?;
        let adversarial = discriminator_loss((&on_real).into(), (&on_fake).into(), wrong.as_ref())?;
        let s = on_real.reconstruction.dim(2)?;
        let dnm = dnm(
            Reconstruction::new(&on_fake, &ops::resize_area(fake, s, s)?),
            Reconstruction::new(&on_real, &ops::resize_area(real, s, s)?),
        )?;
        let terms = Terms::one(format!("d{side}"), 1., adversarial).with(
            format!("dnm{side}"),
            objective.weights.dnm,
            dnm,
        );
        terms.report(reports);
        if self.augment.adapts() {
            reports.loss(&self.sign_name(), on_real.unconditional.sign()?.mean_all()?);
        }
        reports.refuse_non_finite()?;
        Gradients::of(terms.add_to(None)?, &self.store)
    }

    /// One update of the weights.
    fn apply(
        &mut self,
        mut gradients: Gradients,
        lr_scale: f64,
        reports: &mut Reports,
    ) -> Result<(), TrainError> {
        if let Some(norm) = gradients.guarding_norm(&reports.values())? {
            reports.norm(format!("gradient of d{}", self.network.side()), norm.clone());
            reports.refuse_non_finite()?;
            gradients.guard_by(norm);
        }
        self.optimizer.apply(&gradients, lr_scale)
    }

    /// The gradient of the generator's losses against this discriminator, which are reported: `g` (adversarial) and `dal`. It sees
    /// the generated images through `seen`, and `real` so already.
    fn image_gradient(
        &mut self,
        (fake, seen): (&Tensor, &Seen),
        real: &Tensor,
        sentence: &Tensor,
        objective: &Objective<'_>,
        reports: &mut Reports,
    ) -> Result<Tensor, TrainError> {
        let side = self.network.side();
        let images = Var::from_tensor(&fake.detach())?;
        self.ctx.mode = Mode::Frozen;
        let said = self.frozen.discriminate(&seen.of(&images)?, sentence, &mut self.ctx)?;
        let adversarial = generator_loss((&said).into())?;
        let s = said.reconstruction.dim(2)?;
        let dal = dal(&said.reconstruction, &ops::resize_area(real, s, s)?)?;
        let terms = Terms::one(format!("g{side}"), 1., adversarial);
        image_gradient_of(terms.with(format!("dal{side}"), objective.weights.dal, dal), &images, reports)
    }

    /// Logits of real images beside the next caption, where that one is a mismatch.
    fn wrong_pairs(
        &mut self,
        features: &Tensor,
        sentence: &Tensor,
        labels: &PairLabels,
    ) -> Result<Option<Tensor>, TrainError> {
        let pairs = labels.pairs();
        let next = |i: usize| (i + 1) % pairs;
        let rows: Vec<u32> = (0..pairs).filter(|&i| !labels.alike(i, next(i))).map(|i| i as u32).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let captions: Vec<u32> = rows.iter().map(|&i| next(i as usize) as u32).collect();
        let pick = |t: &Tensor, rows: Vec<u32>| {
            t.index_select(&Tensor::new(rows, t.device())?, 0) // rows of one batch
        };
        let features = if rows.len() == pairs { features.clone() } else { pick(features, rows)? };
        Ok(Some(self.network.match_sentence(&features, &pick(sentence, captions)?, &mut self.ctx)?))
    }
}

impl Checkpointed for DiscriminatorTrainer {
    fn save(&self, to: &mut Checkpoint) -> Result<(), TrainError> {
        let name = section::discriminator(self.stage);
        to.insert_all(&name, self.store.views());
        to.insert_all(&section::optimizer(&name), self.optimizer.state()?);
        to.set(&section::random(&name), self.ctx.position());
        if self.augment.adapts() {
            to.set(&section::augmentation(&name), self.augment.probability);
        }
        Ok(())
    }

    fn restore(&mut self, from: &Checkpoint) -> Result<(), TrainError> {
        let name = section::discriminator(self.stage);
        self.store.assign(&from.section(&name))?;
        self.optimizer.restore(&from.section(&section::optimizer(&name)))?;
        self.ctx.seek(from.get(&section::random(&name))?);
        if self.augment.adapts() {
            self.augment.probability = from.get(&section::augmentation(&name))?;
        }
        Ok(())
    }
}
