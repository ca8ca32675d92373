//! The whole job: data, encoders, GAN, pictures, figures; with checkpoints, events and an end that loses nothing.
use crate::checkpoint;
use crate::checkpoint::Checkpoint;
use crate::config::RunConfig;
use crate::encoders::Encoders;
use crate::error::TrainError;
use crate::evaluate::{Evaluation, Evaluator};
use crate::events::{Event, Sinks};
use crate::interrupt::Interrupt;
use crate::networks::{Networks, OwnedGenerator};
use crate::pretrain::{HeldOut, Pretrainer, cuts};
use crate::progress::Meter;
use crate::run_dir::RunDir;
use crate::state::{self, Phase};
use crate::step::{self, Judge, StepBatch};
use drgan_data::{Batch, Dataset, Loader, Split};
use drgan_infer::sheet::{self, Options};
use drgan_infer::{Model, Precision, Sampler, rgb};
use drgan_tensor::internal::fnv1a;
use std::path::PathBuf;
use std::sync::Arc;

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// All steps done.
    Finished {
        /// The last sample grid.
        grid: PathBuf,
        /// The last checkpoint.
        checkpoint: PathBuf,
        /// The figures, if they were asked for.
        evaluation: Option<Box<Evaluation>>,
    },
    /// Ctrl-C: what was learnt is in the checkpoint, if there is one yet.
    Interrupted {
        /// Generator steps done.
        step: u64,
        /// Where they are.
        checkpoint: Option<PathBuf>,
    },
}

/// Captions of the grid that a run on the embedded set draws on the way; those that have a word it knows.
const SHOWN: [&str; 8] = [
    "a red heart",
    "a blue circle",
    "a green square",
    "a yellow face crying",
    "a purple heart",
    "a red apple",
    "a brown dog face",
    "an orange square",
];
/// Samples a caption in that grid.
const SHOWN_COUNT: u64 = 4;
/// KID is taken for the first time after this part of a run.
const EARLY: u64 = 8;

/// Everything a run needs beside its data.
pub struct Session<'a> {
    /// Resolved.
    pub cfg: &'a RunConfig,
    /// Where it writes.
    pub run: &'a RunDir,
    /// Who listens.
    pub sinks: &'a mut Sinks,
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
    /// Measure at one eighth and at the end.
    pub evaluate: bool,
}

impl Session<'_> {
    /// Trains from the start, or from where the run's last good checkpoint stands.
    ///
    /// # Errors
    /// [`TrainError`]; whatever was learnt until the last checkpoint is in it.
    pub fn train(&mut self, data: &Arc<Dataset>) -> Result<Outcome, TrainError> {
        let saved = self.last_checkpoint()?;
        let records = data.split(Split::Train);
        let (encoders, trained) = self.encoders(data, saved.as_ref())?;
        let gan = match saved {
            Some(c) if state::phase(&c, &self.run.checkpoints())? == Phase::Gan => Some(c),
            early => {
                if !trained && !self.pretrain(data, &records, &encoders, early.as_ref())? {
                    return Ok(Outcome::Interrupted { step: 0, checkpoint: self.latest_checkpoint() });
                }
                None
            }
        };
        self.train_gan(data, &encoders, gan.as_ref())
    }

    /// Trains the encoders alone: the same phase, and nothing after it. False if it was interrupted.
    ///
    /// # Errors
    /// As [`Session::train`]; a run whose GAN was begun.
    pub fn pretrain_only(&mut self, data: &Arc<Dataset>) -> Result<bool, TrainError> {
        let saved = self.last_checkpoint()?;
        if let Some(c) = &saved
            && state::phase(c, &self.run.checkpoints())? == Phase::Gan
        {
            return Err(TrainError::EncodersTrained { path: self.run.path().to_owned() });
        }
        let (encoders, _) = self.encoders(data, saved.as_ref())?;
        let done = self.pretrain(data, &data.split(Split::Train), &encoders, saved.as_ref())?;
        if done {
            encoders.export(self.run)?;
        }
        Ok(done)
    }

    /// The encoders to start or go on with, and whether they need no training; a fresh run keeps their vocabulary.
    fn encoders(&self, data: &Dataset, saved: Option<&Checkpoint>) -> Result<(Encoders, bool), TrainError> {
        let device = self.cfg.open_device()?;
        if saved.is_some() {
            return Ok((Encoders::kept(self.cfg, self.run, &device)?, false));
        }
        // Held-out captions too: a word that no training picture has is known, if untrained.
        let (encoders, trained) = Encoders::starting(self.cfg, data, &device)?;
        encoders.keep(self.cfg, self.run)?;
        Ok((encoders, trained))
    }

    fn last_checkpoint(&mut self) -> Result<Option<Checkpoint>, TrainError> {
        if self.latest_checkpoint().is_none() {
            return Ok(None);
        }
        let (checkpoint, warning) = Checkpoint::load_latest(&self.run.checkpoints())?;
        if let Some(w) = warning {
            self.sinks.emit(&Event::Warning { text: w.to_string() });
        }
        Ok(Some(checkpoint))
    }

    /// The DAMSM phase; false if it was interrupted.
    fn pretrain(
        &mut self,
        data: &Arc<Dataset>,
        records: &[usize],
        encoders: &Encoders,
        saved: Option<&Checkpoint>,
    ) -> Result<bool, TrainError> {
        let cfg = self.cfg;
        let views = if cfg.loader.flip { 2 } else { 1 };
        let cut = cuts(&cfg.loader());
        let mut meter = Meter::new("backbone features", (records.len() * views) as u64, 1, 0);
        self.sinks.emit(&match cut {
            true => Event::Message {
                text: "pictures are cut at random: backbone features are computed for each batch".to_owned(),
            },
            false => meter.started(),
        });
        let (sinks, interrupt) = (&mut *self.sinks, self.interrupt);
        let phase = Pretrainer::new(cfg, encoders, data, records, |done| {
            sinks.emit(&meter.at(done as u64, &[]));
            !interrupt.requested()
        })?;
        let Some(mut phase) = phase else { return Ok(false) };
        if !cut {
            self.sinks.emit(&meter.ended());
        }
        self.warn_of_skipped(&phase.skipped);
        if let Some(c) = saved {
            state::restore_damsm(c, &self.run.checkpoints(), encoders, &mut phase)?;
        }
        let held_out = HeldOut::new(cfg, encoders, data)?;
        let mut told = phase.skipped.len();
        let pairs_before = |epoch: usize| (epoch * records.len()) as u64;
        let mut meter = Meter::new("damsm", pairs_before(cfg.damsm.epochs), 1, pairs_before(phase.epoch));
        self.sinks.emit(&meter.started());
        while phase.epoch < cfg.damsm.epochs {
            let mut seen = pairs_before(phase.epoch);
            let (sinks, interrupt) = (&mut *self.sinks, self.interrupt);
            let mean = phase.run_epoch(cfg, encoders, data, |pairs, loss| {
                seen += pairs as u64;
                sinks.emit(&meter.at(seen, &[("damsm".to_owned(), loss)]));
                !interrupt.requested()
            });
            let batches = seen.div_ceil(cfg.damsm.batch as u64);
            let Some(mean) = mean.map_err(|e| self.locate(e, "damsm", batches + 1))? else {
                return Ok(false);
            };
            let mut text = format!("DAMSM epoch {} of {}: loss {mean:.3}", phase.epoch, cfg.damsm.epochs);
            if phase.skipped.len() > told {
                told = phase.skipped.len();
                self.warn_of_skipped(&phase.skipped);
            }
            meter.skip_pause();
            if let Some(held_out) = &held_out {
                let r = held_out.r_precision(cfg, encoders, cfg.evaluate.candidates)?;
                let shares = [("r_image_to_text", r.image_to_text), ("r_text_to_image", r.text_to_image)];
                let shares = shares.map(|(name, share)| (name.to_owned(), share as f32));
                self.sinks.emit(&meter.at(pairs_before(phase.epoch), &shares));
                text += &format!(
                    ", held-out R-precision over {} candidates: {:.3} picture to caption, {:.3} caption to picture",
                    r.candidates, r.image_to_text, r.text_to_image
                );
            }
            self.sinks.emit(&Event::Message { text });
            state::of_damsm(cfg, encoders, &phase)?.save(&self.run.checkpoints(), 0)?;
            meter.skip_pause();
        }
        self.sinks.emit(&meter.ended());
        Ok(true)
    }

    fn train_gan(
        &mut self,
        data: &Arc<Dataset>,
        encoders: &Encoders,
        saved: Option<&Checkpoint>,
    ) -> Result<Outcome, TrainError> {
        let cfg = self.cfg;
        let mut networks = Networks::new(cfg)?;
        let (mut step, mut early_kid) = (0, None);
        if let Some(c) = saved {
            step = state::restore_gan(c, &self.run.checkpoints(), encoders, &mut networks)?;
            early_kid = c.meta("early_kid", &self.run.checkpoints()).ok();
        }
        let evaluator = match self.evaluate && cfg.evaluate.samples > 1 {
            true => Some(Evaluator::new(cfg, encoders, data)?),
            false => None,
        };
        let total = cfg.train.steps;
        let mut loader = Loader::new(data.clone(), Split::Train, cfg.loader(), step)?;
        let judge = Judge { encoder: &encoders.image, gammas: cfg.damsm.gammas, loss: &cfg.loss };
        let mut meter = Meter::new("gan", total, cfg.loader.batch as u64, step);
        self.sinks.emit(&meter.started());
        let (mut grid, mut told) = (None, 0);
        while step < total {
            let Some(batch) = loader.next() else { break };
            let batch = prepare(batch?, encoders)?;
            let lr = 1. - (1. - cfg.train.final_lr) * step as f64 / total as f64;
            let scalars = step::step(&mut networks.hero, &mut networks.adversaries, &judge, &batch, lr);
            let scalars = scalars.map_err(|e| self.locate(e, "gan", step + 1))?;
            networks.ema.update(step)?;
            step += 1;
            if loader.skipped().len() > told {
                told = loader.skipped().len();
                self.warn_of_skipped(&loader.skipped());
            }
            if step % cfg.train.log_every == 0 || step == total {
                self.sinks.emit(&meter.at(step, &scalars));
            }
            if step == (total / EARLY).max(1)
                && let Some(evaluator) = &evaluator
            {
                early_kid = Some(evaluator.kid(&model(cfg, encoders, &networks.average))?);
            }
            let stopping = self.interrupt.requested();
            if step % cfg.train.checkpoint_every == 0 || step == total || stopping {
                step::probe(&networks.hero, &networks.adversaries, &batch)
                    .map_err(|e| self.locate(e, "gan", step))?;
                let c = state::of_gan(cfg, encoders, &networks, step, early_kid)?;
                let path = c.save(&self.run.checkpoints(), step)?;
                checkpoint::prune(&self.run.checkpoints(), cfg.train.keep)?;
                self.sinks.emit(&Event::Checkpoint { step, path });
            }
            if step % cfg.train.sample_every == 0 || step == total {
                grid = Some(self.draw_grid(data, encoders, &networks.average, step)?);
            }
            if stopping && step < total {
                return Ok(Outcome::Interrupted { step, checkpoint: self.latest_checkpoint() });
            }
        }
        self.sinks.emit(&meter.ended());
        drop(loader);
        let evaluation = match &evaluator {
            Some(e) => {
                Some(Box::new(e.evaluate(&model(cfg, encoders, &networks.average), step, early_kid)?))
            }
            None => None,
        };
        let grid = match grid {
            Some(path) => path,
            None => self.draw_grid(data, encoders, &networks.average, step)?,
        };
        let checkpoint = self.latest_checkpoint().unwrap_or_else(|| self.run.checkpoints());
        Ok(Outcome::Finished { grid, checkpoint, evaluation })
    }

    /// Says which pictures do not decode.
    fn warn_of_skipped(&mut self, names: &[String]) {
        if !names.is_empty() {
            let text =
                format!("{} picture(s) do not decode and are left out: {}", names.len(), names.join(", "));
            self.sinks.emit(&Event::Warning { text });
        }
    }

    fn latest_checkpoint(&self) -> Option<PathBuf> {
        checkpoint::list(&self.run.checkpoints()).ok()?.pop().map(|(_, path)| path)
    }

    /// A divergence with its step and the checkpoint to go back to.
    fn locate(&self, e: TrainError, phase: &'static str, step: u64) -> TrainError {
        match e {
            TrainError::Diverged { loss, value, .. } => {
                TrainError::Diverged { loss, value, phase, step, checkpoint: self.latest_checkpoint() }
            }
            other => other,
        }
    }

    /// Fixed captions under fixed noise, by the averaged generator.
    fn draw_grid(
        &mut self,
        data: &Dataset,
        encoders: &Encoders,
        generator: &OwnedGenerator,
        step: u64,
    ) -> Result<PathBuf, TrainError> {
        let sampler = Sampler::new(&model(self.cfg, encoders, generator), Precision::F32)?;
        let known = shown(self.cfg, data, encoders);
        let path = self.run.samples().join(format!("step-{step:06}.png"));
        if !known.is_empty() {
            let noise: Vec<u64> = (0..SHOWN_COUNT).collect();
            let image = sheet::draw(&sampler, &known, &noise, self.cfg.seed, Options::default())?;
            rgb::save_png(&image, &path)?;
            self.sinks.emit(&Event::Images { tag: "samples".to_owned(), step, path: path.clone() });
        }
        Ok(path)
    }
}

/// Captions of the grid: of the embedded set those that one would ask for, of another set the first captions of held-out
/// pictures, or of any if none is held out.
pub(crate) fn shown<'a>(cfg: &RunConfig, data: &'a Dataset, encoders: &Encoders) -> Vec<&'a str> {
    let captions: Vec<&str> = if cfg.data.path.is_empty() {
        SHOWN.to_vec()
    } else {
        let mut records = data.split(Split::HeldOut);
        if records.is_empty() {
            records = data.split(Split::All);
        }
        let n = records.len().min(SHOWN.len());
        (0..n).map(|i| data.records()[records[i * records.len() / n]].captions[0].as_str()).collect()
    };
    captions.into_iter().filter(|c| encoders.captions.embed(&[c]).is_ok()).collect()
}

/// The averaged generator with the text encoder, to draw with.
fn model(cfg: &RunConfig, encoders: &Encoders, generator: &OwnedGenerator) -> Model {
    Model::new(cfg.model(), encoders.captions.clone(), generator.store.clone())
}

/// A loader's batch with its captions as features.
fn prepare(batch: Batch, encoders: &Encoders) -> Result<StepBatch, TrainError> {
    let text = encoders.captions.embed(&batch.captions)?;
    let groups = match &batch.class_ids {
        Some(ids) => ids.iter().map(|&id| i64::from(id)).collect(),
        None => batch.keys.iter().map(|k| fnv1a(k.as_bytes()) as i64).collect(),
    };
    Ok(StepBatch { images: batch.images, text, groups })
}
