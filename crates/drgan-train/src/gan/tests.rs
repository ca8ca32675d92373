//! A step compared with one backward pass through the whole graph, on networks of a handful of parameters, in f64.
mod networks;

use super::augment::Seen;
use super::{DiscriminatorTrainer, GeneratorTrainer, Objective, RealImageTrainer, StepBatch, Trainers, step};
use crate::config::{AugmentConfig, LossConfig};
use crate::error::TrainError;
use crate::optim::{Gradients as Found, Optimizer, OptimizerConfig, OptimizerKind, optimizer};
use crate::run::{Checkpoint, Checkpointed};
use candle_core::{DType, Device, Tensor};
use drgan_losses::{
    DisentangledFeatures, Reconstruction, dal, damsm, discriminator_loss, dnm, generator_loss, kl,
    reconstruction, sdl,
};
use drgan_tensor::{Ctx, ImageEncoder, Mode, ParamKind, ParamStore, ops};
use networks::{TinyDiscriminator, TinyEncoder, TinyGenerator};

/// With no first-moment decay, `m` after one step is the gradient; with this `eps`, an update follows it smoothly.
const OPT: OptimizerConfig =
    OptimizerConfig { kind: OptimizerKind::Adam, lr: 0.1, betas: (0., 0.999), eps: 1. };

/// Images as they are, which is what discriminators see unless told otherwise.
const PLAIN: AugmentConfig =
    AugmentConfig { probability: 0., target: 0., adapt_images: 1000, color: 1., translation: 1., cutout: 1. };

/// All weights different from each other and from 0.
fn weights() -> LossConfig {
    LossConfig {
        lambda: 1.7,
        sdl_image: 0.6,
        sdl_context: 0.9,
        rirm: 1.3,
        dnm: 0.8,
        dal: 1.1,
        condition_kl: 0.7,
    }
}

/// Networks that start alike each time.
struct Model {
    generator: GeneratorTrainer,
    real_image: RealImageTrainer,
    discriminators: Vec<DiscriminatorTrainer>,
    encoder: TinyEncoder,
}

impl Model {
    fn new(stages: usize, augment: AugmentConfig) -> Result<Self, TrainError> {
        let build = |store: &ParamStore| store.builder(DType::F64, &Device::Cpu);
        let store = ParamStore::seeded(1);
        let generator = GeneratorTrainer {
            network: Box::new(TinyGenerator::new(stages, build(&store))?),
            nz: networks::NZ,
            optimizer: optimizer(&store, OPT)?,
            store,
            ctx: Ctx::with_stream(Mode::Train, 5, 1),
        };
        let store = ParamStore::seeded(2);
        let network = networks::real_image_path(stages, build(&store))?;
        let real_image = RealImageTrainer { network, optimizer: optimizer(&store, OPT)?, store };
        let mut discriminators = Vec::new();
        for stage in 0..stages {
            let (store, side) = (ParamStore::seeded(10 + stage as u64), networks::side(stage));
            discriminators.push(DiscriminatorTrainer {
                stage,
                network: Box::new(TinyDiscriminator::new(side, build(&store))?),
                frozen: Box::new(TinyDiscriminator::new(side, store.frozen(DType::F64, &Device::Cpu))?),
                optimizer: optimizer(&store, OPT)?,
                store,
                augment,
                ctx: Ctx::with_stream(Mode::Train, 5, 16 + stage as u64),
            });
        }
        Ok(Self { generator, real_image, discriminators, encoder: TinyEncoder::new()? })
    }

    /// Every network's weights with what changes them.
    fn learners(&self) -> Vec<(String, &ParamStore, &dyn Optimizer)> {
        let (g, r) = (&self.generator, &self.real_image);
        let mut all = vec![
            ("generator".to_owned(), &g.store, &*g.optimizer),
            ("real image path".to_owned(), &r.store, &*r.optimizer),
        ];
        for d in &self.discriminators {
            all.push((format!("discriminator {}", d.stage), &d.store, &*d.optimizer));
        }
        all
    }
}

/// A gradient, by network and parameter.
type Gradients = std::collections::BTreeMap<(String, String), Vec<f64>>;

/// The gradients that [`step`] applied, read from the optimizers' first moments.
fn by_step(
    stages: usize,
    groups: &[i64],
    loss: &LossConfig,
    augment: AugmentConfig,
) -> Result<Gradients, TrainError> {
    let mut model = Model::new(stages, augment)?;
    let batch = networks::batch(stages, groups)?;
    let Model { generator, real_image, discriminators, encoder } = &mut model;
    let objective = Objective { image_encoder: encoder, gammas: networks::gammas(), weights: loss };
    step(Trainers { generator, real_image, discriminators }, &objective, &batch, 1.)?;
    let mut all = Gradients::new();
    for (network, store, opt) in model.learners() {
        let state = opt.state()?;
        for (name, _) in store.vars(ParamKind::Param) {
            let gradient = state[&format!("m.{name}")].flatten_all()?.to_vec1()?;
            all.insert((network.clone(), name), gradient);
        }
    }
    Ok(all)
}

/// Whether the oracle's discriminators learn before the generator's losses, as the step's do.
#[derive(Clone, Copy, PartialEq)]
enum Discriminators {
    Improved,
    AsTheyWere,
}

/// The same gradients by plain differentiation: of each discriminator's objective, and then of the generator's whole
/// objective in one graph that reaches through the discriminators and the image encoder.
fn by_whole_graph(
    stages: usize,
    groups: &[i64],
    l: &LossConfig,
    augment: AugmentConfig,
    state: Discriminators,
) -> Result<Gradients, TrainError> {
    let mut model = Model::new(stages, augment)?;
    let StepBatch { images, text, .. } = networks::batch(stages, groups)?;
    let b = groups.len();
    let sentence = &text.sentence;
    let Model { generator, real_image, discriminators, encoder } = &mut model;
    let z = generator.ctx.randn((b, networks::NZ), DType::F64, &Device::Cpu)?;
    let made = generator.network.generate(&z, &text, &mut generator.ctx)?;
    let mut all = Gradients::new();
    let mut keep = |network: &str, store: &ParamStore, found: &Found| -> Result<(), TrainError> {
        for ((name, var), gradient) in store.vars(ParamKind::Param).into_iter().zip(found.tensors()) {
            let gradient = match gradient {
                Some(g) => g.flatten_all()?.to_vec1()?,
                None => vec![0.; var.elem_count()],
            };
            all.insert((network.to_owned(), name), gradient);
        }
        Ok(())
    };

    let mut seen = Vec::new();
    for (stage, d) in discriminators.iter_mut().enumerate() {
        seen.push(Seen::draw(&augment, d.ctx.rng(), b, networks::side(stage), &Device::Cpu)?);
        let (real, fake) =
            (&seen[stage].of(&images[stage])?, seen[stage].of(&made.stages[stage].image.detach())?);
        let on_real = d.network.discriminate(real, sentence, &mut d.ctx)?;
        let on_fake = d.network.discriminate(&fake, sentence, &mut d.ctx)?;
        let mut wrong = Vec::new();
        for i in 0..b {
            let next = (i + 1) % b;
            if groups[i] != groups[next] {
                let (v, s) = (on_real.features.narrow(0, i, 1)?, sentence.narrow(0, next, 1)?);
                wrong.push(d.network.match_sentence(&v, &s, &mut d.ctx)?);
            }
        }
        let wrong = if wrong.is_empty() { None } else { Some(Tensor::cat(&wrong, 0)?) };
        let adversarial = discriminator_loss((&on_real).into(), (&on_fake).into(), wrong.as_ref())?;
        let small = |x: &Tensor| ops::resize_area(x, networks::RECONSTRUCTED, networks::RECONSTRUCTED);
        let (of_fake, of_real) = (small(&fake)?, small(real)?);
        let dnm = dnm(Reconstruction::new(&on_fake, &of_fake), Reconstruction::new(&on_real, &of_real))?;
        let gradients = Found::of(Some((adversarial + (dnm * l.dnm)?)?), &d.store)?;
        keep(&format!("discriminator {stage}"), &d.store, &gradients)?;
        if state == Discriminators::Improved {
            d.optimizer.apply(&gradients, 1.)?;
        }
    }

    let mut objective = (kl(&made.condition)? * l.condition_kl)?;
    for (stage, d) in discriminators.iter_mut().enumerate() {
        let fake = seen[stage].of(&made.stages[stage].image)?;
        let said = d.network.discriminate(&fake, sentence, &mut d.ctx)?;
        let real = seen[stage].of(&images[stage])?;
        let real = ops::resize_area(&real, networks::RECONSTRUCTED, networks::RECONSTRUCTED)?;
        objective = (objective + generator_loss((&said).into())?)?;
        objective = (objective + (dal(&said.reconstruction, &real)? * l.dal)?)?;
        let Some(split) = &made.stages[stage].disentangled else { continue };
        let real = &images[stage - 1];
        let h_star = real_image.network.encode(stage, real, &generator.ctx)?;
        let rirm = reconstruction(&generator.network.decode(stage - 1, &h_star, &generator.ctx)?, real)?;
        objective = (objective + (rirm * l.rirm)?)?;
        for (parts, weight) in [(&split.image, l.sdl_image), (&split.context, l.sdl_context)] {
            let sdl = sdl(DisentangledFeatures {
                key: &parts.key,
                non_key: &parts.non_key()?,
                real: &h_star.detach(),
            })?;
            objective = (objective + (sdl * weight)?)?;
        }
    }
    let finest = &made.stages[stages - 1].image;
    let damsm = damsm(&encoder.encode_image(finest)?, &text, &[groups], networks::gammas())?;
    let objective = (objective + (damsm * l.lambda)?)?;
    let [g, r] = Found::of_each(Some(objective), [&generator.store, &real_image.store])?;
    keep("generator", &generator.store, &g)?;
    keep("real image path", &real_image.store, &r)?;
    Ok(all)
}

/// The largest difference of any parameter's gradient, relative to that gradient's largest value.
fn worst(a: &Gradients, b: &Gradients) -> (f64, String) {
    assert!(a.keys().eq(b.keys()), "the same parameters");
    let largest = |x: &[f64]| x.iter().fold(0f64, |m, v| m.max(v.abs()));
    let mut worst = (0., "nothing".to_owned());
    for ((name, a), b) in a.iter().zip(b.values()) {
        let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        // Gradients that cancel to nothing are sums of terms of about 1.
        let relative = largest(&difference) / largest(b).max(1e-4);
        assert!(relative.is_finite(), "{name:?}");
        if relative > worst.0 {
            worst = (relative, format!("{} {}", name.0, name.1));
        }
    }
    worst
}

fn compare(
    stages: usize,
    groups: &[i64],
    loss: &LossConfig,
    augment: AugmentConfig,
) -> Result<(), TrainError> {
    let (difference, at) = worst(
        &by_step(stages, groups, loss, augment)?,
        &by_whole_graph(stages, groups, loss, augment, Discriminators::Improved)?,
    );
    let of = format!("{stages} stages, {groups:?}, {loss:?}, {augment:?}");
    assert!(difference < 1e-9, "{of}: {at} differs by {difference:e}");
    Ok(())
}

/// Every pair may be a wrong one, some, and none.
const GROUPS: [[i64; 3]; 3] = [[1, 2, 3], [4, 4, 9], [7, 7, 7]];

#[test]
fn a_step_makes_the_gradients_of_the_whole_objective() -> Result<(), TrainError> {
    for stages in 1..=3 {
        for groups in GROUPS {
            compare(stages, &groups, &weights(), PLAIN)?;
        }
    }
    Ok(())
}

#[test]
fn a_weight_of_zero_takes_its_objective_and_nothing_else_away() -> Result<(), TrainError> {
    let zero: [fn(&mut LossConfig) -> &mut f64; 7] = [
        |l| &mut l.lambda,
        |l| &mut l.sdl_image,
        |l| &mut l.sdl_context,
        |l| &mut l.rirm,
        |l| &mut l.dnm,
        |l| &mut l.dal,
        |l| &mut l.condition_kl,
    ];
    let whole = by_whole_graph(2, &GROUPS[0], &weights(), PLAIN, Discriminators::Improved)?;
    for weight in zero {
        let mut loss = weights();
        *weight(&mut loss) = 0.;
        compare(2, &GROUPS[0], &loss, PLAIN)?;
        let without = by_step(2, &GROUPS[0], &loss, PLAIN)?;
        assert!(worst(&without, &whole).0 > 1e-4, "{loss:?}: the objective has no gradient to take away");
    }
    Ok(())
}

#[test]
fn the_comparison_sees_every_parameter_and_who_judges() -> Result<(), TrainError> {
    let found = by_step(3, &GROUPS[0], &weights(), PLAIN)?;
    for (name, gradient) in &found {
        assert!(gradient.iter().any(|g| g.abs() > 1e-9), "{name:?} has no gradient");
    }
    let early = by_whole_graph(3, &GROUPS[0], &weights(), PLAIN, Discriminators::AsTheyWere)?;
    assert!(worst(&found, &early).0 > 1e-4, "discriminators learn before the generator");
    let pairs = by_whole_graph(3, &GROUPS[2], &weights(), PLAIN, Discriminators::Improved)?;
    assert!(worst(&found, &pairs).0 > 1e-4, "wrong pairs matter");
    Ok(())
}

#[test]
fn an_augmented_step_makes_the_gradients_through_the_augmentation() -> Result<(), TrainError> {
    let augment = AugmentConfig { probability: 0.8, ..PLAIN };
    for stages in 1..=3 {
        compare(stages, &GROUPS[0], &weights(), augment)?;
    }
    let plain = by_step(2, &GROUPS[0], &weights(), PLAIN)?;
    let augmented = by_step(2, &GROUPS[0], &weights(), augment)?;
    assert!(worst(&plain, &augmented).0 > 1e-2, "the images are changed");
    Ok(())
}

#[test]
fn an_adapting_augmentation_follows_the_signs_and_is_kept() -> Result<(), TrainError> {
    let adapts = AugmentConfig { probability: 0.5, target: 0.5, ..PLAIN };
    let mut model = Model::new(2, adapts)?;
    let batch = networks::batch(2, &GROUPS[0])?;
    let Model { generator, real_image, discriminators, encoder } = &mut model;
    let (loss, gammas) = (weights(), networks::gammas());
    let objective = Objective { image_encoder: encoder, gammas, weights: &loss };
    let trainers = Trainers { generator, real_image, discriminators };
    let scalars = step(trainers, &objective, &batch, 1.)?;
    let named = |name: String| scalars.iter().find(|(of, _)| *of == name).expect("it is reported").1;
    for (stage, d) in discriminators.iter().enumerate() {
        let (side, change) = (networks::side(stage), batch.labels.pairs() as f64 / 1000.);
        let risen = named(format!("sign{side}")) > 0.5;
        let expected = if risen { 0.5 + change } else { 0.5 - change };
        assert!((d.augment.probability - expected).abs() < 1e-12, "{}", d.augment.probability);
        assert_eq!(named(format!("augment{side}")), expected as f32);

        let mut checkpoint = Checkpoint::default();
        d.save(&mut checkpoint)?;
        let mut other = Model::new(2, adapts)?.discriminators.remove(stage);
        other.restore(&checkpoint)?;
        assert_eq!(other.augment.probability.to_bits(), d.augment.probability.to_bits());
    }
    Ok(())
}
