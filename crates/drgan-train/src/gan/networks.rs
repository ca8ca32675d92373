//! Every network of a run with its weights, built from the configuration alone.
use super::batch::StepBatch;
use super::discriminator::DiscriminatorTrainer;
use super::finite::Scalar;
use super::generator::{GeneratorTrainer, RealImageTrainer};
use super::objective::Objective;
use super::step::{self, Trainers};
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::optim::{Ema, optimizer};
use crate::run::{Checkpoint, Checkpointed};
use crate::start::start_from;
use candle_core::Device;
use drgan_dnm::StageDiscriminator;
use drgan_sdm::{RealImagePath, StageGenerator};
use drgan_tensor::{Ctx, FromConfig, Mode, ParamStore, init};

/// Random streams of one seed; each consumer has its own, so that none moves another's.
mod stream {
    pub(super) const GENERATOR: u64 = 1;
    pub(super) const DISCRIMINATORS: u64 = 16;
}

/// A generator as it is before the first step, which every run of this configuration and seed starts from, and its weights.
///
/// # Errors
/// A configuration value out of range.
pub(crate) fn initial_generator(
    cfg: &RunConfig,
    device: &Device,
) -> Result<(StageGenerator, ParamStore), TrainError> {
    let store = ParamStore::seeded(cfg.seed);
    let network = StageGenerator::from_config(&cfg.generator, store.builder(cfg.dtype.into(), device))?;
    init::gan(&store)?;
    drgan_sdm::init_condition(&store, &cfg.generator)?;
    Ok((network, store))
}

/// All that the GAN phase changes.
#[derive(Debug)]
pub struct Networks {
    /// The generator, which draws images.
    pub generator: GeneratorTrainer,
    /// The real image path, which encodes real images.
    pub real_image: RealImageTrainer,
    /// One discriminator per stage, coarse to fine.
    pub discriminators: Vec<DiscriminatorTrainer>,
    /// The exponential moving average of the generator's weights: what samples are drawn with.
    pub ema: Ema,
}

impl Networks {
    /// Fresh networks on `device`, of the configuration's type.
    ///
    /// # Errors
    /// A configuration value out of range.
    pub fn new(cfg: &RunConfig, device: &Device) -> Result<Self, TrainError> {
        let dtype = cfg.dtype.into();
        let (network, store) = initial_generator(cfg, device)?;
        let generator = GeneratorTrainer {
            network: Box::new(network),
            nz: cfg.generator.nz,
            optimizer: optimizer(&store, cfg.generator_opt)?,
            store,
            ctx: Ctx::with_stream(Mode::Train, cfg.seed, stream::GENERATOR),
        };
        let average = ParamStore::zeroed();
        StageGenerator::from_config(&cfg.generator, average.builder(dtype, device))?; // makes the names
        let ema = Ema::new(&generator.store, average, cfg.train.ema)?;

        let store = ParamStore::seeded(cfg.seed);
        let vb = store.builder(dtype, device);
        let network = RealImagePath::from_config(&cfg.generator.real_image(), vb)?;
        init::gan(&store)?;
        let real_image =
            RealImageTrainer { network, optimizer: optimizer(&store, cfg.generator_opt)?, store };

        let mut discriminators = Vec::new();
        for (stage, side) in cfg.sides().into_iter().enumerate() {
            // Stages of one seed must not start from equal weights.
            let store = ParamStore::seeded(cfg.seed.wrapping_add(stage as u64 + 1));
            let d_cfg = cfg.discriminator_at(side);
            let live = StageDiscriminator::from_config(&d_cfg, store.builder(dtype, device))?;
            init::gan(&store)?;
            let frozen = StageDiscriminator::from_config(&d_cfg, store.frozen(dtype, device))?;
            discriminators.push(DiscriminatorTrainer {
                stage,
                network: Box::new(live),
                frozen: Box::new(frozen),
                optimizer: optimizer(&store, cfg.discriminator_opt)?,
                store,
                augment: cfg.augment,
                ctx: Ctx::with_stream(Mode::Train, cfg.seed, stream::DISCRIMINATORS + stage as u64),
            });
        }
        Ok(Self { generator, real_image, discriminators, ema })
    }

    /// Starts the generator and its average from the weights of another one of the same configuration.
    ///
    /// # Errors
    /// Weights of another configuration.
    pub(crate) fn start_generator_from(&self, weights: &ParamStore) -> Result<(), TrainError> {
        start_from(&self.generator.store, weights.views())?;
        start_from(self.ema.average(), weights.views())
    }

    /// Step `done + 1` on `batch`, and the EMA after it; `lr_scale` multiplies every learning rate. The losses are returned.
    ///
    /// # Errors
    /// Shapes that do not fit; [`TrainError::NonFinite`] on a loss or gradient that is NaN or infinite, before the weights that
    /// it would change are touched.
    pub fn step(
        &mut self,
        done: u64,
        objective: &Objective<'_>,
        batch: &StepBatch,
        lr_scale: f64,
    ) -> Result<Vec<Scalar>, TrainError> {
        let Self { generator, real_image, discriminators, .. } = self;
        let scalars =
            step::step(Trainers { generator, real_image, discriminators }, objective, batch, lr_scale)?;
        self.ema.update(done)?;
        Ok(scalars)
    }

    /// Learnable scalars per network.
    pub fn sizes(&self) -> Vec<(String, usize)> {
        let mut sizes = vec![
            ("generator".to_owned(), self.generator.store.num_params()),
            ("real image path".to_owned(), self.real_image.store.num_params()),
        ];
        for d in &self.discriminators {
            sizes.push((format!("discriminator {}", d.network.side()), d.store.num_params()));
        }
        sizes
    }
}

impl Checkpointed for Networks {
    fn save(&self, to: &mut Checkpoint) -> Result<(), TrainError> {
        self.generator.save(to)?;
        self.ema.save(to)?;
        self.real_image.save(to)?;
        self.discriminators.iter().try_for_each(|d| d.save(to))
    }

    fn restore(&mut self, from: &Checkpoint) -> Result<(), TrainError> {
        self.generator.restore(from)?;
        self.ema.restore(from)?;
        self.real_image.restore(from)?;
        self.discriminators.iter_mut().try_for_each(|d| d.restore(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use candle_core::{DType, Var};
    use drgan_tensor::ParamKind;

    fn tiny() -> RunConfig {
        RunConfig::resolve("tiny", &Overrides::default()).unwrap()
    }

    #[test]
    fn in_the_generators_step_no_gradient_of_a_discriminators_weights_exists() -> Result<(), TrainError> {
        let networks = Networks::new(&tiny(), &Device::Cpu)?;
        let mut ctx = Ctx::new(Mode::Frozen, 1);
        let sentence = ctx.randn((2, 256), DType::F32, &Device::Cpu)?;
        for trainer in &networks.discriminators {
            let (side, store) = (trainer.network.side(), &trainer.store);
            let images = Var::from_tensor(&ctx.randn((2, 3, side, side), DType::F32, &Device::Cpu)?)?;
            let before = store.views();
            let before: Vec<Vec<f32>> =
                before.values().map(|t| t.flatten_all()?.to_vec1()).collect::<Result<_, _>>()?;
            let mut gradients = |frozen: bool| -> Result<usize, TrainError> {
                let d = if frozen { &trainer.frozen } else { &trainer.network };
                let said = d.discriminate(&images, &sentence, &mut ctx)?;
                let loss = (said.unconditional.sum_all()? + said.reconstruction.sum_all()?)?;
                let gradients = (loss + said.conditional.sum_all()?)?.backward()?;
                assert!(gradients.get(&images).is_some(), "the images' gradient is what the step is for");
                Ok(store.vars(ParamKind::Param).iter().filter(|(_, v)| gradients.get(v).is_some()).count())
            };
            assert_eq!(gradients(true)?, 0, "discriminator {side}");
            assert!(gradients(false)? > 10, "the live copy shows that the count can see them");
            let after: Vec<Vec<f32>> =
                store.views().values().map(|t| t.flatten_all()?.to_vec1()).collect::<Result<_, _>>()?;
            assert_eq!(before, after, "a frozen pass of discriminator {side} left something behind");
        }
        Ok(())
    }

    #[test]
    fn initial_weights_depend_on_the_seed_and_on_the_stage() -> Result<(), TrainError> {
        let first = |store: &ParamStore| -> Result<Vec<f32>, TrainError> {
            // Biases start at 0 whatever the seed.
            let weight = store.vars(ParamKind::Param).into_iter().find(|(_, v)| v.rank() > 1);
            Ok(weight.expect("a weight").1.flatten_all()?.to_vec1()?)
        };
        let (a, b) = (
            Networks::new(&tiny(), &Device::Cpu)?,
            Networks::new(&RunConfig { seed: 1, ..tiny() }, &Device::Cpu)?,
        );
        assert_ne!(first(&a.generator.store)?, first(&b.generator.store)?);
        assert_ne!(first(&a.discriminators[1].store)?, first(&a.discriminators[2].store)?);
        let (_, again) = initial_generator(&tiny(), &Device::Cpu)?;
        assert_eq!(first(&a.generator.store)?, first(&again)?);
        assert_eq!(first(a.ema.average())?, first(&a.generator.store)?, "the average starts as a copy");
        Ok(())
    }
}
