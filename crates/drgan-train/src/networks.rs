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
        let average = OwnedGenerator::untrained(cfg)?;

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
        let ema = Ema::new(&generator, &average.store, cfg.train.average)?;
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
