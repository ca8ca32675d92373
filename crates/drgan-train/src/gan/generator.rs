//! The generator and the real image path: their gradients, and how these are applied.
use super::batch::StepBatch;
use super::finite::Reports;
use super::objective::{Objective, Terms};
use crate::error::TrainError;
use crate::optim::{Gradients, Optimizer};
use crate::run::{Checkpoint, Checkpointed, section};
use candle_core::Tensor;
use drgan_losses::{DisentangledFeatures, kl, reconstruction, sdl};
use drgan_sdm::RealImagePath;
use drgan_tensor::{Ctx, Generator, GeneratorOutput, MaskedSplit, ParamStore, ops};

/// The generator with everything that belongs to it.
pub struct GeneratorTrainer {
    /// The network whose weights receive gradients.
    pub network: Box<dyn Generator + Send + Sync>,
    /// Number of dimensions of the noise z.
    pub nz: usize,
    /// The network's weights.
    pub store: ParamStore,
    /// The optimizer of the weights.
    pub optimizer: Box<dyn Optimizer>,
    /// Random stream of z and of the conditioning augmentation.
    pub ctx: Ctx,
}

/// The real image path with everything that belongs to it: it encodes real images for the SDL and the RIRM.
#[derive(Debug)]
pub struct RealImageTrainer {
    /// The network whose weights receive gradients.
    pub network: RealImagePath,
    /// The network's weights.
    pub store: ParamStore,
    /// The optimizer of the weights.
    pub optimizer: Box<dyn Optimizer>,
}

impl std::fmt::Debug for GeneratorTrainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GeneratorTrainer").field("nz", &self.nz).finish_non_exhaustive()
    }
}

/// Gradients of the two networks that the generator's objective reaches.
pub(super) struct GeneratorGradients {
    generator: Gradients,
    real_image: Gradients,
}

impl GeneratorGradients {
    fn of(
        loss: Option<Tensor>,
        g: &GeneratorTrainer,
        real_image: &RealImageTrainer,
    ) -> Result<Self, TrainError> {
        let [generator, real_image] = Gradients::of_each(loss, [&g.store, &real_image.store])?;
        Ok(Self { generator, real_image })
    }

    fn add(&mut self, more: &Self) -> Result<(), TrainError> {
        self.generator.add(&more.generator)?;
        self.real_image.add(&more.real_image)
    }
}

/// What the real image path makes of real images.
struct RealImageOutput {
    /// H*, a constant.
    h_star: Tensor,
    /// How far the image decoded from H* is from the real one.
    reports: Reports,
    /// Gradients of the reconstruction loss, for the real image path and the generator's image head.
    gradients: GeneratorGradients,
}

impl GeneratorTrainer {
    /// Images of every stage for the batch's captions, under the next noise.
    pub(super) fn generate(&mut self, batch: &StepBatch) -> Result<GeneratorOutput, TrainError> {
        let sentence = &batch.text.sentence;
        let z = self.ctx.randn((sentence.dim(0)?, self.nz), sentence.dtype(), sentence.device())?;
        Ok(self.network.generate(&z, &batch.text, &mut self.ctx)?)
    }

    /// The gradients of the generator's objective. What the discriminators and the DAMSM say of the images comes as
    /// `images`, one gradient `dL/dx_i` per stage: the gradient of the sum of `<x_i, dL/dx_i>` is those losses' by the chain
    /// rule. To it are added the losses that look inside the generator: SDL, RIRM and KL.
    ///
    /// `made` is given up, so that no more of its graph is kept than the backward pass needs.
    pub(super) fn compute_gradients(
        &self,
        real_image: &RealImageTrainer,
        made: GeneratorOutput,
        images: Vec<Tensor>,
        batch: &StepBatch,
        objective: &Objective<'_>,
        reports: &mut Reports,
    ) -> Result<GeneratorGradients, TrainError> {
        let weights = objective.weights;
        let mut total = None;
        for (stage, gradient) in made.stages.iter().zip(images) {
            let product = ops::inner_product(&stage.image, &gradient.detach())?;
            total = Terms::one("images", 1., product).add_to(total)?;
        }

        let mut decoded = None::<GeneratorGradients>;
        for (stage, output) in made.stages.iter().enumerate().skip(1) {
            let Some(split) = &output.disentangled else { continue };
            let real = &batch.images[stage - 1];
            let found = self.reconstruct_real(real_image, stage, real, objective)?;
            let compared = |parts: &MaskedSplit| -> Result<Tensor, TrainError> {
                let (key, non_key) = (&parts.key, &parts.non_key()?);
                Ok(sdl(DisentangledFeatures { key, non_key, real: &found.h_star })?)
            };
            let (image, context) = (compared(&split.image)?, compared(&split.context)?);
            let name = format!("sdl{}", real.dim(2)?);
            let terms =
                Terms::one(&*name, weights.sdl_image, image).with(&*name, weights.sdl_context, context);
            terms.report(reports);
            reports.extend(found.reports);
            total = terms.add_to(total)?;
            match &mut decoded {
                Some(sum) => sum.add(&found.gradients)?,
                None => decoded = Some(found.gradients),
            }
        }
        let condition = Terms::one("kl", weights.condition_kl, kl(&made.condition)?);
        condition.report(reports);
        total = condition.add_to(total)?;
        reports.refuse_non_finite()?;
        drop(made);

        let mut gradients = GeneratorGradients::of(total, self, real_image)?;
        if let Some(decoded) = decoded {
            gradients.add(&decoded)?;
        }
        Ok(gradients)
    }

    /// The RIRM of `stage`, with its backward pass: its graph shares nothing with the generator's, so it need not live as
    /// long.
    fn reconstruct_real(
        &self,
        real_image: &RealImageTrainer,
        stage: usize,
        real: &Tensor,
        objective: &Objective<'_>,
    ) -> Result<RealImageOutput, TrainError> {
        let h_star = real_image.network.encode(stage, real, &self.ctx)?;
        let decoded = self.network.decode(stage - 1, &h_star, &self.ctx)?;
        let side = real.dim(2)?;
        let rirm = reconstruction(&decoded, real)?;
        let terms = Terms::one(format!("rirm{side}"), objective.weights.rirm, rirm);
        let mut reports = Reports::default();
        terms.report(&mut reports);
        let gradients = GeneratorGradients::of(terms.add_to(None)?, self, real_image)?;
        Ok(RealImageOutput { h_star: h_star.detach(), reports, gradients })
    }

    /// One update of both networks' weights.
    pub(super) fn apply(
        &mut self,
        real_image: &mut RealImageTrainer,
        gradients: GeneratorGradients,
        lr_scale: f64,
        reports: &mut Reports,
    ) -> Result<(), TrainError> {
        let GeneratorGradients { mut generator, real_image: mut of_real } = gradients;
        if let Some(norm) = generator.guarding_norm(&reports.values())? {
            reports.norm("gradient of the generator".into(), norm.clone());
            reports.refuse_non_finite()?;
            generator.guard_by(norm.clone());
            of_real.guard_by(norm);
        }
        self.optimizer.apply(&generator, lr_scale)?;
        real_image.optimizer.apply(&of_real, lr_scale)
    }
}

impl Checkpointed for GeneratorTrainer {
    fn save(&self, to: &mut Checkpoint) -> Result<(), TrainError> {
        to.insert_all(section::GENERATOR, self.store.views());
        to.insert_all(&section::optimizer(section::GENERATOR), self.optimizer.state()?);
        to.set(&section::random(section::GENERATOR), self.ctx.position());
        Ok(())
    }

    fn restore(&mut self, from: &Checkpoint) -> Result<(), TrainError> {
        self.store.assign(&from.section(section::GENERATOR))?;
        self.optimizer.restore(&from.section(&section::optimizer(section::GENERATOR)))?;
        self.ctx.seek(from.get(&section::random(section::GENERATOR))?);
        Ok(())
    }
}

impl Checkpointed for RealImageTrainer {
    fn save(&self, to: &mut Checkpoint) -> Result<(), TrainError> {
        to.insert_all(section::REAL_IMAGE, self.store.views());
        to.insert_all(&section::optimizer(section::REAL_IMAGE), self.optimizer.state()?);
        Ok(())
    }

    fn restore(&mut self, from: &Checkpoint) -> Result<(), TrainError> {
        self.store.assign(&from.section(section::REAL_IMAGE))?;
        self.optimizer.restore(&from.section(&section::optimizer(section::REAL_IMAGE)))
    }
}
