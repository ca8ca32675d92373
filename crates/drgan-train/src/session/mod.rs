//! The whole job: data, encoders, GAN, images, scores; with checkpoints, events and an end that loses nothing.
mod adversarial;
mod begin;
mod check;
mod estimate;
mod feed;
mod hooks;
mod interrupt;
mod memory;
mod pretrain;
mod progress;
mod resume;
mod shown;
mod trained;

pub use check::{check_data, check_resumed};
pub use estimate::{Estimate, estimate};
pub use interrupt::{Interrupt, Watch};
pub use memory::{MemoryNeed, Workload, available_memory, require_memory};
pub use progress::Progress;
pub use resume::Phase;
pub use trained::{Newest, TrainedRun};

use crate::config::RunConfig;
use crate::damsm::{CaptionSurvey, Encoders};
use crate::error::TrainError;
use crate::evaluate::Evaluation;
use crate::events::{Event, Sinks};
use crate::run::{self, Checkpoint, Checkpointed, Fingerprint, LockedRun};
use candle_core::Device;
use drgan_data::{Dataset, Split};
use drgan_tensor::device::Opened;
use drgan_tensor::internal::counted;
use std::path::PathBuf;
use std::sync::Arc;

/// How a run ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// All steps are done.
    Finished {
        /// The last sample grid; none where no caption could be drawn.
        grid: Option<PathBuf>,
        /// The last checkpoint.
        checkpoint: PathBuf,
        /// The scores, if they were asked for.
        evaluation: Option<Box<Evaluation>>,
    },
    /// Stopped by request: what was learnt is in the checkpoint, if there is one yet.
    Interrupted {
        /// Number of generator steps done.
        step: u64,
        /// The checkpoint after that step.
        checkpoint: Option<PathBuf>,
    },
}

/// Trains one run: its settings, its folder, and who is told what. The data comes with each call.
#[derive(Debug)]
pub struct Session<'a> {
    /// The run's settings, resolved.
    pub cfg: &'a RunConfig,
    /// The folder that the session writes into.
    pub run: &'a LockedRun,
    /// Where the session's events go.
    pub sinks: &'a mut Sinks,
    /// The request to stop, asked between steps; watched until all is saved.
    pub interrupt: &'a Interrupt,
    /// Whether scores are taken at one eighth of the run (KID alone) and at its end.
    pub evaluate: bool,
}

impl Session<'_> {
    /// Trains from the start, or from where the run's last good checkpoint stands, with the data it was begun with.
    ///
    /// # Errors
    /// [`TrainError`]; whatever was learnt until the last checkpoint is in it.
    pub fn train(&mut self, data: &Arc<Dataset>) -> Result<Outcome, TrainError> {
        let watch = self.interrupt.watch();
        let done = self.train_both(data, watch);
        self.decide_what_stays(done)
    }

    fn train_both(&mut self, data: &Arc<Dataset>, watch: Watch) -> Result<Outcome, TrainError> {
        let saved = self.last_checkpoint()?;
        let saved = self.begin(saved, data)?;
        let records = data.split(Split::Train);
        let device = self.device(saved.as_ref())?;
        let (mut encoders, trained) = self.encoders(data, &device, saved.as_ref())?;
        if let Some(checkpoint) = &saved {
            encoders.restore(checkpoint)?;
        }
        self.tell_captions(data, &encoders)?;
        let mut told = Vec::new();
        let gan = match saved {
            Some(c) if Phase::of(&c)? == Phase::Gan => Some(c),
            early => {
                if !trained && !self.pretrain(data, &records, &encoders, early.as_ref(), &mut told)? {
                    return Ok(Outcome::Interrupted { step: 0, checkpoint: self.latest_checkpoint() });
                }
                None
            }
        };
        self.train_gan(data, &encoders, gan.as_ref(), &mut told, watch)
    }

    /// Trains the encoders alone: the same phase, and nothing after it. False if it was interrupted.
    ///
    /// # Errors
    /// As [`Session::train`]; a run whose GAN was begun.
    pub fn pretrain_only(&mut self, data: &Arc<Dataset>) -> Result<bool, TrainError> {
        let _watch = self.interrupt.watch();
        let done = self.train_encoders(data);
        self.decide_what_stays(done)
    }

    fn train_encoders(&mut self, data: &Arc<Dataset>) -> Result<bool, TrainError> {
        let saved = self.last_checkpoint()?;
        if let Some((c, _)) = &saved
            && Phase::of(c)? == Phase::Gan
        {
            return Err(TrainError::EncodersTrained { path: self.run.path().to_owned() });
        }
        let saved = self.begin(saved, data)?;
        let device = self.device(saved.as_ref())?;
        let (mut encoders, _) = self.encoders(data, &device, saved.as_ref())?;
        if let Some(checkpoint) = &saved {
            encoders.restore(checkpoint)?;
        }
        self.tell_captions(data, &encoders)?;
        let done =
            self.pretrain(data, &data.split(Split::Train), &encoders, saved.as_ref(), &mut Vec::new())?;
        self.run.verify_whole(&[])?;
        if done {
            encoders.export(self.run)?;
        }
        Ok(done)
    }

    /// The device of the settings; what it lacks is told, what computes convolutions there, and whether that was another before.
    fn device(&mut self, saved: Option<&Checkpoint>) -> Result<Device, TrainError> {
        let Opened { device, convolutions, notes } = self.cfg.open_device()?;
        notes.into_iter().for_each(|text| self.sinks.emit(&Event::Warning { text }));
        if let Some(by) = convolutions {
            self.sinks.emit(&Event::Message { text: format!("convolutions by {by}") });
            let before = saved.and_then(resume::convolutions);
            if let Some(before) = before.filter(|before| *before != by.to_string()) {
                let text = format!(
                    "the run has computed convolutions by {before} so far, and continues by {by}: its bits will be others"
                );
                self.sinks.emit(&Event::Warning { text });
            }
        }
        Ok(device)
    }

    /// The encoders to start or continue with, and whether they need no training; a fresh run keeps their vocabulary.
    fn encoders(
        &self,
        data: &Dataset,
        device: &Device,
        saved: Option<&Checkpoint>,
    ) -> Result<(Encoders, bool), TrainError> {
        if saved.is_some() {
            return Ok((Encoders::kept(self.cfg, self.run, device)?, false));
        }
        // Held-out captions too: a word that no training image has is known, if untrained.
        let (encoders, trained) = Encoders::starting(self.cfg, data, device)?;
        encoders.keep(self.cfg, self.run)?;
        Fingerprint::write(self.run, data)?;
        Ok((encoders, trained))
    }

    /// Says how many captions are cut, and what they lose to the vocabulary.
    fn tell_captions(&mut self, data: &Dataset, encoders: &Encoders) -> Result<(), TrainError> {
        let survey = CaptionSurvey::new(self.cfg, data, encoders.captions.tokenizer())?;
        self.sinks.emit(&Event::Message { text: format!("captions: {}", survey.length()) });
        for text in survey.losses() {
            self.sinks.emit(&Event::Warning { text });
        }
        Ok(())
    }

    /// Says which images do not decode.
    fn warn_of_skipped(&mut self, names: &[String]) {
        if !names.is_empty() {
            let left_out = counted(names.len(), "image[ does|s do] not decode and [is|are] left out");
            let text = format!("{left_out}: {}", names.join(", "));
            self.sinks.emit(&Event::Warning { text });
        }
    }

    /// Says which images are read otherwise than one might think, of those decoded so far, but for what was `told` already.
    fn warn_of_odd(&mut self, data: &Dataset, told: &mut Vec<String>) {
        for text in data.decoding_notes() {
            if !told.contains(&text) {
                self.sinks.emit(&Event::Warning { text: text.clone() });
                told.push(text);
            }
        }
    }

    fn latest_checkpoint(&self) -> Option<PathBuf> {
        run::list(&self.run.checkpoints()).ok()?.pop().map(|(_, path)| path)
    }

    /// A divergence with its step and the checkpoint to go back to.
    fn locate(&self, e: TrainError, phase: Phase, step: u64) -> TrainError {
        match e {
            TrainError::NonFinite { loss, value } => {
                let checkpoint = self.latest_checkpoint();
                TrainError::Diverged { loss, value, phase: phase.name(), step, checkpoint }
            }
            other => other,
        }
    }
}
