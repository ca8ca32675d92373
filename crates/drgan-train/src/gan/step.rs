//! One step of the GAN, by hand: every discriminator once, then the generator.
//!
//! The generator's images are computed once. Each stage's discriminator then learns from them as constants and, already
//! improved, tells the generator what to change: the gradient of its losses (adversarial and DAL) with respect to the
//! image. These branches, and the DAMSM's, know nothing of each other: their order does not matter, and small ones run side
//! by side. The generator's own backward pass starts from the sum of `<image_i, gradient_i>`, whose gradient is those losses' by
//! the chain rule, plus the losses that look inside it (SDL, RIRM, KL).
//!
//! For every network the gradients are made first, as one value; then, where they are complete, they are applied.
use super::batch::StepBatch;
use super::discriminator::{DiscriminatorTrainer, image_gradient_of};
use super::finite::{Reports, Scalar, refuse_non_finite, scalar};
use super::generator::{GeneratorTrainer, RealImageTrainer};
use super::objective::{Objective, Terms};
use crate::error::TrainError;
use crate::optim::Gradients;
use candle_core::{Tensor, Var};
use drgan_losses::{damsm, kl};
use drgan_tensor::{GeneratorOutput, Mode, ops};
use rayon::prelude::*;

/// The networks that one step trains.
#[derive(Debug)]
pub(super) struct Trainers<'a> {
    /// The generator.
    pub(super) generator: &'a mut GeneratorTrainer,
    /// The real image path.
    pub(super) real_image: &'a mut RealImageTrainer,
    /// The discriminators, coarse to fine.
    pub(super) discriminators: &'a mut [DiscriminatorTrainer],
}

/// One step. `lr_scale` multiplies every learning rate. A loss or a gradient that is not finite stops it before the
/// weights that it would change are touched. The losses of all networks are returned.
///
/// # Errors
/// Shapes that do not fit; [`TrainError::NonFinite`] on a loss or gradient that is NaN or infinite.
pub(super) fn step(
    trainers: Trainers<'_>,
    objective: &Objective<'_>,
    batch: &StepBatch,
    lr_scale: f64,
) -> Result<Vec<Scalar>, TrainError> {
    // On a thread of the pool, which need not be woken for every operation.
    rayon::scope(|_| on_pool(trainers, objective, batch, lr_scale))
}

fn on_pool(
    trainers: Trainers<'_>,
    objective: &Objective<'_>,
    batch: &StepBatch,
    lr_scale: f64,
) -> Result<Vec<Scalar>, TrainError> {
    let Trainers { generator, real_image, discriminators } = trainers;
    let made = generator.generate(batch)?;
    let (images, mut reports) = image_gradients(&made, &mut *discriminators, objective, batch, lr_scale)?;
    reports.refuse_non_finite()?;

    let gradients = generator.compute_gradients(real_image, made, images, batch, objective, &mut reports)?;
    // The gradients are complete and not yet applied.
    generator.apply(real_image, gradients, lr_scale, &mut reports)?;
    let mut scalars = reports.read()?;
    for discriminator in discriminators {
        discriminator.adapt(&mut scalars, batch.labels.pairs());
    }
    Ok(scalars)
}

/// Images of this side on fill the cores by themselves; smaller ones do so side by side.
const LARGE: usize = 128;

/// One step of every discriminator; then the gradient of the generator's losses with respect to each stage's images,
/// coarse to fine, the DAMSM's added to the finest, and all losses. Nothing of their graphs is left. Branches of large
/// images run one after another, so that the memory they need does not add up; so do all on a device with one queue.
fn image_gradients(
    made: &GeneratorOutput,
    discriminators: &mut [DiscriminatorTrainer],
    objective: &Objective<'_>,
    batch: &StepBatch,
    lr_scale: f64,
) -> Result<(Vec<Tensor>, Reports), TrainError> {
    let finest = made.stages.len() - 1;
    let image = &made.stages[finest].image;
    let alone = ops::in_one_queue(image) || image.dim(2)? >= LARGE;
    let one = |discriminator: &mut DiscriminatorTrainer, reports: &mut Reports| {
        let fake = &made.stages[discriminator.stage].image;
        discriminator.step(fake, batch, objective, lr_scale, reports)
    };
    let mut reports = Reports::default();
    let mut gradients = Vec::with_capacity(made.stages.len());
    let matching = if alone {
        for discriminator in discriminators {
            gradients.push(one(discriminator, &mut reports)?);
        }
        matching_gradient(image, batch, objective, &mut reports)?
    } else {
        let mut of_matching = Reports::default();
        let (told, matching) = rayon::join(
            || -> Result<Vec<(Tensor, Reports)>, TrainError> {
                // Fine to coarse: the longest branch first.
                let branches = discriminators.par_iter_mut().rev().map(|discriminator| {
                    let mut reports = Reports::default();
                    Ok((one(discriminator, &mut reports)?, reports))
                });
                let told: Vec<Result<_, TrainError>> = branches.collect();
                told.into_iter().rev().collect()
            },
            || matching_gradient(image, batch, objective, &mut of_matching),
        );
        for (gradient, of_branch) in told? {
            gradients.push(gradient);
            reports.extend(of_branch);
        }
        let matching = matching?;
        reports.extend(of_matching);
        matching
    };
    gradients[finest] = (&gradients[finest] + matching)?;
    Ok((gradients, reports))
}

/// The gradient of the DAMSM's loss of the finest images beside their captions.
fn matching_gradient(
    fake: &Tensor,
    batch: &StepBatch,
    objective: &Objective<'_>,
    reports: &mut Reports,
) -> Result<Tensor, TrainError> {
    let images = Var::from_tensor(&fake.detach())?;
    let features = objective.image_encoder.encode_image(&images)?;
    let loss = damsm(&features, &batch.text, &batch.labels.kinds(), objective.gammas)?;
    image_gradient_of(Terms::one("damsm", objective.weights.lambda, loss), &images, reports)
}

/// Whether the networks still give numbers, and gradients: what a checkpoint has to pass before it becomes the last good
/// one. A frozen pass on `batch`; nothing changes, not even a random stream.
///
/// # Errors
/// [`TrainError::NonFinite`] where an image, a logit, a reconstruction or the generator's gradient is not finite.
pub(crate) fn verify_finite(
    generator: &GeneratorTrainer,
    discriminators: &[DiscriminatorTrainer],
    batch: &StepBatch,
) -> Result<(), TrainError> {
    let mut ctx = generator.ctx.clone();
    ctx.mode = Mode::Frozen;
    let sentence = &batch.text.sentence;
    let z = ctx.randn((sentence.dim(0)?, generator.nz), sentence.dtype(), sentence.device())?;
    let made = generator.network.generate(&z, &batch.text, &mut ctx)?;
    let divergence = kl(&made.condition)?;
    let mut sums = vec![("kl after the step".to_owned(), scalar(&divergence)?)];
    let mut total = Terms::one("kl", 1., divergence).add_to(None)?;
    for (stage, discriminator) in made.stages.iter().zip(discriminators) {
        let said = discriminator.frozen.discriminate(&stage.image, sentence, &mut ctx)?;
        let side = discriminator.network.side();
        let means = [
            ("image", stage.image.mean_all()?),
            ("logits", said.conditional.mean_all()?),
            ("reconstruction", said.reconstruction.mean_all()?),
        ];
        for (name, mean) in means {
            sums.push((format!("{name} {side} after the step"), scalar(&mean)?));
            total = Terms::one(name, 1., mean).add_to(total)?;
        }
    }
    let norm = Gradients::of(total, &generator.store)?.norm()?;
    sums.push(("gradient of the generator after the step".into(), norm as f32));
    refuse_non_finite(&sums)
}
