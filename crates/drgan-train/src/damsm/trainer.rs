//! The training of both encoders: they learn to tell which caption belongs to which image.
use super::descriptions;
use super::encoders::Encoders;
use super::features::FeatureCache;
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::gan::{PairLabels, refuse_non_finite, scalar};
use crate::optim::{Gradients, Optimizer, optimizer};
use crate::run::{Checkpoint, Checkpointed, section};
use candle_core::Tensor;
use drgan_data::Dataset;
use drgan_losses::damsm;
use drgan_tensor::{Ctx, Mode, TokenBatch};
use drgan_text::BackboneFeatures;
use rand::seq::SliceRandom;

/// The learning rate falls to this fraction of its start, as AttnGAN's.
const LOWEST_LR: f64 = 0.1;
/// Number of the first epoch's random stream.
const FIRST_STREAM: u64 = 0xDA_0000;

/// The training phase of the encoders; one epoch per call, so that the caller can stop and save between them.
pub(crate) struct DamsmTrainer {
    features: FeatureCache,
    text: Box<dyn Optimizer>,
    image: Box<dyn Optimizer>,
    /// Number of epochs done.
    pub(crate) epoch: usize,
    /// The newest batch, for [`DamsmTrainer::verify_finite`].
    last: Option<Pairs>,
}

/// A batch as the encoders read it.
struct Pairs {
    features: BackboneFeatures,
    tokens: TokenBatch,
    labels: PairLabels,
}

impl Pairs {
    /// The objective of the batch.
    fn loss(&self, cfg: &RunConfig, encoders: &Encoders, ctx: &mut Ctx) -> Result<Tensor, TrainError> {
        let text = encoders.captions.encoder().encode_text(&self.tokens, ctx)?;
        let image = encoders.image.project(&self.features)?;
        Ok(damsm(&image, &text, &self.labels.kinds(), cfg.damsm.gammas)?)
    }
}

impl DamsmTrainer {
    /// Computes the backbone features of `records`; nothing if `progress`, told how many are done, asks to stop.
    ///
    /// # Errors
    /// Too many images that do not decode; a file that cannot be read.
    pub(crate) fn new(
        cfg: &RunConfig,
        encoders: &Encoders,
        data: &Dataset,
        records: &[usize],
        progress: impl FnMut(usize) -> bool,
    ) -> Result<Option<Self>, TrainError> {
        let Some(features) = FeatureCache::new(cfg, encoders, data, records, progress)? else {
            return Ok(None);
        };
        let text = optimizer(encoders.captions.weights(), cfg.damsm.opt)?;
        let image = optimizer(&encoders.image_store, cfg.damsm.opt)?;
        Ok(Some(Self { features, text, image, epoch: 0, last: None }))
    }

    /// Images that do not decode, by name.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.features.skipped
    }

    /// Learning rate of the epoch that comes next.
    pub(crate) fn learning_rate(&self, cfg: &RunConfig) -> f64 {
        cfg.damsm.opt.lr * self.lr_scale(cfg)
    }

    /// Its part of the first epoch's.
    fn lr_scale(&self, cfg: &RunConfig) -> f64 {
        cfg.damsm.decay.powi(self.epoch as i32).max(LOWEST_LR)
    }

    /// One pass over the records; the mean loss, or nothing if `progress`, told a batch's pairs and its loss, asked to stop.
    ///
    /// # Errors
    /// A loss that is not a number; whatever the encoders report.
    pub(crate) fn run_epoch(
        &mut self,
        cfg: &RunConfig,
        encoders: &Encoders,
        data: &Dataset,
        mut progress: impl FnMut(usize, f32) -> bool,
    ) -> Result<Option<f32>, TrainError> {
        let d = &cfg.damsm;
        let mut ctx = Ctx::with_stream(Mode::Train, cfg.seed, FIRST_STREAM + self.epoch as u64);
        let mut order: Vec<usize> = (0..self.features.records.len()).collect();
        order.shuffle(ctx.rng());
        let lr = self.lr_scale(cfg);
        let (mut sum, mut batches) = (0., 0);
        for rows in order.chunks(d.batch).filter(|rows| rows.len() > 1) {
            let mut texts = Vec::with_capacity(rows.len());
            let mut index = Vec::with_capacity(rows.len());
            for &row in rows {
                let record = &data.records()[self.features.records[row]];
                texts.push(descriptions::draw(record, cfg, encoders.captions.tokenizer(), ctx.rng())?);
                index.push((row, self.features.draw_crop(ctx.rng())));
            }
            let (features, there) = match self.features.of_batch(encoders, data, &index)? {
                Some(found) if found.1.len() > 1 => found,
                _ => continue, // too few of the batch decode to tell captions apart
            };
            let texts: Vec<String> = there.iter().map(|i| std::mem::take(&mut texts[*i])).collect();
            let tokens = encoders.captions.tokens(&texts)?;
            let records = there.iter().map(|i| &data.records()[self.features.records[rows[*i]]]);
            let records = records.map(|record| (record.class_id, record.key.as_str()));
            let labels = PairLabels::new(cfg.recipe, records, &tokens.ids)?;
            let pairs = self.last.insert(Pairs { features, tokens, labels });
            let loss = pairs.loss(cfg, encoders, &mut ctx)?;
            let value = scalar(&loss)?;
            refuse_non_finite(&[("damsm".into(), value)])?;
            let stores = [encoders.captions.weights(), &encoders.image_store];
            let [mut of_text, mut of_image] = Gradients::of_each(Some(loss), stores)?;
            // The gradients are complete and not yet applied.
            refuse_non_finite(&[
                ("gradient of the text encoder".into(), of_text.clip(d.clip)? as f32),
                ("gradient of the image projection".into(), of_image.clip(d.clip)? as f32),
            ])?;
            self.text.apply(&of_text, lr)?;
            self.image.apply(&of_image, lr)?;
            sum += value;
            batches += 1;
            if !progress(rows.len(), value) {
                return Ok(None);
            }
        }
        self.epoch += 1;
        Ok(Some(sum / batches.max(1) as f32))
    }

    /// Whether the encoders still give numbers, and gradients: what they have to pass before they become the last good
    /// checkpoint. The newest batch passes them without dropout; nothing changes, not even a random stream.
    ///
    /// # Errors
    /// [`TrainError::NonFinite`] where the loss or a gradient is not finite.
    pub(crate) fn verify_finite(&self, cfg: &RunConfig, encoders: &Encoders) -> Result<(), TrainError> {
        let Some(pairs) = &self.last else { return Ok(()) };
        let loss = pairs.loss(cfg, encoders, &mut Ctx::new(Mode::Eval, cfg.seed))?;
        let value = scalar(&loss)?;
        let stores = [encoders.captions.weights(), &encoders.image_store];
        let [of_text, of_image] = Gradients::of_each(Some(loss), stores)?;
        refuse_non_finite(&[
            ("damsm after the epoch".into(), value),
            ("gradient of the text encoder after the epoch".into(), of_text.norm()? as f32),
            ("gradient of the image projection after the epoch".into(), of_image.norm()? as f32),
        ])
    }
}

/// Metadata key of the epochs done.
const EPOCH: &str = "epoch";

/// The epochs done in a checkpoint of the DAMSM phase.
///
/// # Errors
/// It is of another phase.
pub(crate) fn epochs_done(checkpoint: &Checkpoint) -> Result<u64, TrainError> {
    checkpoint.get(EPOCH)
}

impl Checkpointed for DamsmTrainer {
    fn save(&self, to: &mut Checkpoint) -> Result<(), TrainError> {
        to.set(EPOCH, self.epoch);
        to.insert_all(&section::optimizer(section::TEXT), self.text.state()?);
        to.insert_all(&section::optimizer(section::IMAGE), self.image.state()?);
        Ok(())
    }

    fn restore(&mut self, from: &Checkpoint) -> Result<(), TrainError> {
        self.epoch = from.get(EPOCH)?;
        self.text.restore(&from.section(&section::optimizer(section::TEXT)))?;
        self.image.restore(&from.section(&section::optimizer(section::IMAGE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use candle_core::Device;
    use drgan_data::Split;

    #[test]
    fn encoders_that_give_no_numbers_are_told_before_they_are_kept() -> Result<(), TrainError> {
        let mut cfg = RunConfig::resolve("tiny", &Overrides::default())?;
        // One batch per epoch: its loss and gradients are numbers, and the weights after it are not.
        (cfg.damsm.opt.lr, cfg.damsm.batch) = (1e30, 64);
        let mut data = Dataset::embedded()?;
        data.truncate(40);
        let records = data.split(Split::Train);
        let encoders = Encoders::new(&cfg, Encoders::tokenizer_of(&cfg, &data)?, &Device::Cpu)?;
        let trainer = DamsmTrainer::new(&cfg, &encoders, &data, &records, |_| true)?;
        let mut trainer = trainer.expect("not interrupted");
        trainer.verify_finite(&cfg, &encoders)?;
        let mean = trainer.run_epoch(&cfg, &encoders, &data, |_, _| true)?;
        assert!(mean.is_some_and(f32::is_finite), "the epoch itself shows nothing: {mean:?}");
        let e = trainer.verify_finite(&cfg, &encoders).expect_err("the weights are of 1e30").to_string();
        assert!(e.contains("after the epoch is"), "{e}");
        Ok(())
    }

    #[test]
    fn two_epochs_are_one_a_checkpoint_and_another() -> Result<(), TrainError> {
        let cfg = RunConfig::resolve("tiny", &Overrides::default())?;
        let mut data = Dataset::embedded()?;
        data.truncate(40);
        let records = data.split(Split::Train);
        let fresh = || -> Result<(Encoders, DamsmTrainer), TrainError> {
            let encoders = Encoders::new(&cfg, Encoders::tokenizer_of(&cfg, &data)?, &Device::Cpu)?;
            let trainer = DamsmTrainer::new(&cfg, &encoders, &data, &records, |_| true)?;
            Ok((encoders, trainer.expect("not interrupted")))
        };
        let saved = |encoders: &Encoders, trainer: &DamsmTrainer| -> Result<Checkpoint, TrainError> {
            let mut checkpoint = Checkpoint::default();
            encoders.save(&mut checkpoint)?;
            trainer.save(&mut checkpoint)?;
            Ok(checkpoint)
        };
        let (whole, mut trainer) = fresh()?;
        trainer.run_epoch(&cfg, &whole, &data, |_, _| true)?;
        let mut half = saved(&whole, &trainer)?;
        for tensor in half.tensors.values_mut() {
            *tensor = tensor.copy()?; // views follow the weights
        }
        trainer.run_epoch(&cfg, &whole, &data, |_, _| true)?;
        let want = saved(&whole, &trainer)?.to_bytes()?;

        let (mut resumed, mut trainer) = fresh()?;
        resumed.restore(&half)?;
        trainer.restore(&half)?;
        trainer.run_epoch(&cfg, &resumed, &data, |_, _| true)?;
        assert!(want == saved(&resumed, &trainer)?.to_bytes()?, "a pause changed the encoders");
        Ok(())
    }
}
