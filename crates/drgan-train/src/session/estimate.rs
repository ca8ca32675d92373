//! How long a run will take, found by doing a little of it on made-up data.
use crate::config::RunConfig;
use crate::damsm::Encoders;
use crate::error::TrainError;
use crate::gan::{Networks, Objective, StepBatch};
use candle_core::{DType, Tensor};
use drgan_tensor::{Ctx, Mode, TextFeatures};
use std::time::{Duration, Instant};

/// What a run consists of and how long its parts take here.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// Number of learnable scalars per network.
    pub sizes: Vec<(String, usize)>,
    /// Time of the backbone features and of all DAMSM epochs.
    pub damsm: Duration,
    /// Time of all GAN steps.
    pub gan: Duration,
}

/// Times one generator step (after one that warms up, unless that took long), one batch of backbone features and one
/// DAMSM batch, on random data of the real shapes; nothing of it is kept.
///
/// # Errors
/// A configuration that no network can be built from.
pub fn estimate(cfg: &RunConfig, encoders: &Encoders, records: usize) -> Result<Estimate, TrainError> {
    let mut ctx = Ctx::new(Mode::Eval, cfg.seed);
    let device = encoders.captions.device();
    let (b, t) = (cfg.loader.batch, cfg.damsm.max_words);
    let mut noise = |shape: &[usize]| -> Result<Tensor, TrainError> {
        Ok(ctx.randn(shape, cfg.dtype.into(), device)?.tanh()?)
    };
    let images = cfg.sides().iter().map(|&s| noise(&[b, 3, s, s])).collect::<Result<Vec<_>, _>>()?;
    let text = TextFeatures {
        words: noise(&[b, cfg.text.words_dim, t])?,
        sentence: noise(&[b, cfg.text.words_dim])?,
        mask: Tensor::zeros((b, t), DType::U8, device)?,
        lens: vec![t; b],
    };
    let batch = StepBatch { images, text, labels: (0..b as i64).collect::<Vec<_>>().into() };
    let mut networks = Networks::new(cfg, device)?;
    let image_encoder = &encoders.image;
    let objective = Objective { image_encoder, gammas: cfg.damsm.gammas, weights: &cfg.loss };
    let mut one = Duration::ZERO;
    for done in 0..3 {
        let start = Instant::now();
        match networks.step(done, &objective, &batch, 1.) {
            // Settings that blow up take as long; the run itself says at which step.
            Ok(_) | Err(TrainError::NonFinite { .. }) => {}
            Err(e) => return Err(e),
        }
        one = start.elapsed();
        if one > Duration::from_secs(5) {
            break;
        }
    }

    let finest = batch.images.last().map_or_else(|| noise(&[b, 3, 64, 64]), |i| Ok(i.clone()))?;
    let start = Instant::now();
    encoders.backbone_features(&finest)?;
    let views = if cfg.loader.flip { 2usize } else { 1 };
    let once = start.elapsed().mul_f64(records as f64 / b as f64);
    let features = match cfg.loader().crops_at_random() {
        // Nothing is kept: every epoch passes the backbone.
        true => once.mul_f64(cfg.damsm.epochs as f64),
        false => once.mul_f64(views as f64),
    };
    let start = Instant::now();
    let caption = encoders.words_of(cfg.damsm.max_words);
    encoders.captions.embed(&vec![caption; cfg.damsm.batch])?;
    // Backward about doubles the forward pass, the loss costs as much again.
    let epoch = start.elapsed().mul_f64(4. * records as f64 / cfg.damsm.batch as f64);

    let mut sizes: Vec<(String, usize)> =
        encoders.sizes().into_iter().map(|(n, c)| (n.to_owned(), c)).collect();
    sizes.extend(networks.sizes());
    Ok(Estimate {
        sizes,
        damsm: features + epoch.mul_f64(cfg.damsm.epochs as f64),
        gan: one.mul_f64(cfg.train.steps as f64),
    })
}
