//! Every network of a run with its weights, built from the configuration alone.
use crate::adam::Adam;
use crate::config::RunConfig;
use crate::ema::Ema;
use crate::error::TrainError;
use crate::step::{Adversary, Protagonist};
use candle_core::{DType, Device};
use drgan_dnm::StageDiscriminator;
use drgan_sdm::{RealImagePath, StageGenerator};
use drgan_tensor::{Ctx, FromConfig, Mode, ParamStore, init};

/// Random streams of one seed; each consumer has its own, so that none moves another's.
mod stream {
    pub(super) const GENERATOR: u64 = 1;
    pub(super) const DISCRIMINATORS: u64 = 16;
}

/// A generator with its weights.
pub struct OwnedGenerator {
    /// Names and values.
    pub store: ParamStore,
    /// Over them.
    pub net: StageGenerator,
}

impl OwnedGenerator {
    /// As it is before the first step: what every run of this configuration and seed starts from.
    ///
    /// # Errors
    /// A configuration value out of range.
    pub fn untrained(cfg: &RunConfig) -> Result<Self, TrainError> {
        let store = ParamStore::seeded(cfg.seed);
        let net = StageGenerator::from_config(&cfg.generator, store.builder(DType::F32, &Device::Cpu))?;
        init::gan(&store)?;
        drgan_sdm::init_condition(&store, &cfg.generator)?;
        Ok(Self { store, net })
    }

    /// Without values yet: for those of a file or of another network, by [`ParamStore::assign`].
    ///
    /// # Errors
    /// A configuration value out of range.
    pub fn unset(cfg: &RunConfig) -> Result<Self, TrainError> {
        let store = ParamStore::zeroed();
        let net = StageGenerator::from_config(&cfg.generator, store.builder(DType::F32, &Device::Cpu))?;
        Ok(Self { store, net })
    }
}

/// All that the GAN phase changes.
pub struct Networks {
    /// The generator's side.
    pub hero: Protagonist,
    /// One a stage.
    pub adversaries: Vec<Adversary>,
    /// Weights of the generator.
    pub generator: ParamStore,
    /// Weights of the real image path.
    pub real_image: ParamStore,
    /// Weights of the discriminators.
    pub discriminators: Vec<ParamStore>,
    /// The generator's running average: what samples.
    pub average: OwnedGenerator,
    /// Keeps it.
    pub ema: Ema,
}

impl Networks {
    /// Fresh networks.
    ///
    /// # Errors
    /// A configuration value out of range.
    pub fn new(cfg: &RunConfig) -> Result<Self, TrainError> {
        let (dtype, device) = (DType::F32, Device::Cpu);
        let OwnedGenerator { store: generator, net } = OwnedGenerator::untrained(cfg)?;
        let average = OwnedGenerator::unset(cfg)?; // `Ema` makes it a copy

        let real_image = ParamStore::seeded(cfg.seed);
        let vb = real_image.builder(dtype, &device);
        let path = RealImagePath::from_config(&cfg.generator.real_image(), vb)?;
        init::gan(&real_image)?;

        let mut adversaries = Vec::new();
        let mut discriminators = Vec::new();
        for (stage, side) in cfg.sides().into_iter().enumerate() {
            // Stages of one seed must not start from equal weights.
            let store = ParamStore::seeded(cfg.seed.wrapping_add(stage as u64 + 1));
            let d_cfg = cfg.discriminator_at(side);
            let live = StageDiscriminator::from_config(&d_cfg, store.builder(dtype, &device))?;
            init::gan(&store)?;
            let frozen = StageDiscriminator::from_config(&d_cfg, store.frozen(dtype, &device))?;
            adversaries.push(Adversary {
                live: Box::new(live),
                frozen: Box::new(frozen),
                opt: Adam::new(&store, cfg.discriminator_opt)?,
                ctx: Ctx::with_stream(Mode::Train, cfg.seed, stream::DISCRIMINATORS + stage as u64),
            });
            discriminators.push(store);
        }
        let hero = Protagonist {
            generator: Box::new(net),
            nz: cfg.generator.nz,
            real_image: path,
            opt: Adam::new(&generator, cfg.generator_opt)?,
            real_image_opt: Adam::new(&real_image, cfg.generator_opt)?,
            ctx: Ctx::with_stream(Mode::Train, cfg.seed, stream::GENERATOR),
        };
        let ema = Ema::new(&generator, &average.store, cfg.train.ema)?;
        Ok(Self { hero, adversaries, generator, real_image, discriminators, average, ema })
    }

    /// Learnable scalars a network.
    pub fn sizes(&self) -> Vec<(String, usize)> {
        let mut sizes = vec![
            ("generator".to_owned(), self.generator.num_params()),
            ("real image path".to_owned(), self.real_image.num_params()),
        ];
        for (store, adversary) in self.discriminators.iter().zip(&self.adversaries) {
            sizes.push((format!("discriminator {}", adversary.live.side()), store.num_params()));
        }
        sizes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use candle_core::Var;
    use drgan_tensor::ParamKind;

    fn tiny() -> RunConfig {
        RunConfig::resolve("tiny", &Overrides::default()).unwrap()
    }

    #[test]
    fn in_the_generators_step_no_gradient_of_a_discriminators_weights_exists() -> Result<(), TrainError> {
        let mut networks = Networks::new(&tiny())?;
        let mut ctx = Ctx::new(Mode::Frozen, 1);
        let sentence = ctx.randn((2, 256), DType::F32, &Device::Cpu)?;
        for (adversary, store) in networks.adversaries.iter_mut().zip(&networks.discriminators) {
            let side = adversary.live.side();
            let picture = Var::from_tensor(&ctx.randn((2, 3, side, side), DType::F32, &Device::Cpu)?)?;
            let before = store.views();
            let before: Vec<Vec<f32>> =
                before.values().map(|t| t.flatten_all()?.to_vec1()).collect::<Result<_, _>>()?;
            let mut gradients = |frozen: bool| -> Result<usize, TrainError> {
                let d = if frozen { &adversary.frozen } else { &adversary.live };
                let said = d.discriminate(&picture, &sentence, &mut ctx)?;
                let loss = (said.unconditional.sum_all()? + said.reconstruction.sum_all()?)?;
                let gradients = (loss + said.conditional.sum_all()?)?.backward()?;
                assert!(gradients.get(&picture).is_some(), "the picture's gradient is what the step is for");
                Ok(store.vars(ParamKind::Param).iter().filter(|(_, v)| gradients.get(v).is_some()).count())
            };
            assert_eq!(gradients(true)?, 0, "discriminator {side}");
            assert!(gradients(false)? > 10, "the live twin shows that the count can see them");
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
        let (a, b) = (Networks::new(&tiny())?, Networks::new(&RunConfig { seed: 1, ..tiny() })?);
        assert_ne!(first(&a.generator)?, first(&b.generator)?);
        assert_ne!(first(&a.discriminators[1])?, first(&a.discriminators[2])?);
        let again = OwnedGenerator::untrained(&tiny())?;
        assert_eq!(first(&a.generator)?, first(&again.store)?);
        assert_eq!(first(&a.average.store)?, first(&a.generator)?, "the average starts as a copy");
        Ok(())
    }
}
