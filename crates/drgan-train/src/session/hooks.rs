//! What happens after a step of the GAN beside the step: log lines, measures, checkpoints, sample grids. Each is a hook, which
//! decides for itself whether it has anything to do; the loop calls them in the order of its list.
use super::resume::Phase;
use super::shown::shown;
use crate::config::RunConfig;
use crate::damsm::Encoders;
use crate::error::TrainError;
use crate::evaluate::Evaluator;
use crate::events::{Event, Meter, Sinks};
use crate::gan::{Networks, Scalar, StepBatch, verify_finite};
use crate::run::{self, History, LockedRun, Pruner};
use drgan_data::Dataset;
use drgan_infer::sheet::{self, Options};
use drgan_infer::{Model, Sampler, rgb};
use drgan_tensor::ParamStore;
use std::path::PathBuf;

/// What a hook sees after a step.
pub(super) struct AfterStep<'a> {
    /// Number of steps done.
    pub(super) step: u64,
    /// Whether this was the run's last step.
    pub(super) last: bool,
    /// Whether the run stops here because it was asked to: known once everything is measured.
    pub(super) stopping: bool,
    /// The step's learning rates, by their names in events.
    pub(super) rates: [(&'a str, f64); 2],
    /// The step's losses.
    pub(super) scalars: &'a [Scalar],
    /// The batch that the step read.
    pub(super) batch: &'a StepBatch,
    /// The networks as they are after the step.
    pub(super) networks: &'a Networks,
    /// What was measured of the run so far.
    pub(super) history: &'a mut History,
    /// Where events go.
    pub(super) sinks: &'a mut Sinks,
}

impl AfterStep<'_> {
    /// Whether it is time for something that is done every so many steps, and after the last.
    fn is_due(&self, every: u64) -> bool {
        self.step.is_multiple_of(every) || self.last
    }
}

/// The averaged generator with the text encoder, to draw with.
pub(super) fn model(cfg: &RunConfig, encoders: &Encoders, average: &ParamStore) -> Model {
    Model::new(cfg.model(), encoders.captions.clone(), average.clone())
}

/// Something to do between two steps.
pub(super) trait Hook {
    /// Called after each step.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn after_step(&mut self, now: &mut AfterStep<'_>) -> Result<(), TrainError>;
}

/// Reports the losses every so many steps.
pub(super) struct Log {
    pub(super) every: u64,
    pub(super) meter: Meter,
}

impl Hook for Log {
    fn after_step(&mut self, now: &mut AfterStep<'_>) -> Result<(), TrainError> {
        if now.is_due(self.every) {
            now.sinks.emit(&self.meter.at(now.step, now.scalars, &now.rates));
        }
        Ok(())
    }
}

/// Measures KID once, early in the run.
pub(super) struct EarlyEvaluation<'a> {
    pub(super) cfg: &'a RunConfig,
    pub(super) encoders: &'a Encoders,
    pub(super) at: u64,
    pub(super) evaluator: &'a Evaluator<'a>,
}

impl Hook for EarlyEvaluation<'_> {
    fn after_step(&mut self, now: &mut AfterStep<'_>) -> Result<(), TrainError> {
        if now.step == self.at {
            let model = model(self.cfg, self.encoders, now.networks.ema.average());
            let kid = self.evaluator.kid(&model)?;
            now.history.record(History::EARLY_KID, kid);
            let scores = vec![("kid".to_owned(), kid)];
            now.sinks.emit(&Event::Evaluation { step: now.step, scores, missing: Vec::new() });
        }
        Ok(())
    }
}

/// Writes checkpoints of networks that still give numbers, and removes old ones.
pub(super) struct Checkpoints<'a> {
    pub(super) cfg: &'a RunConfig,
    pub(super) run: &'a LockedRun,
    pub(super) encoders: &'a Encoders,
    pub(super) pruner: Pruner,
}

impl Hook for Checkpoints<'_> {
    fn after_step(&mut self, now: &mut AfterStep<'_>) -> Result<(), TrainError> {
        if !(now.is_due(self.cfg.train.checkpoint_every) || now.stopping) {
            return Ok(());
        }
        verify_finite(&now.networks.generator, &now.networks.discriminators, now.batch)?;
        let owners = [self.encoders as &dyn run::Checkpointed, now.networks, now.history];
        let checkpoint =
            Phase::Gan.checkpoint(self.cfg, now.step, self.encoders.captions.device(), &owners)?;
        let path = self.run.save(&checkpoint, now.step)?;
        self.pruner.prune(&self.run.checkpoints(), self.cfg.train.keep, &path)?;
        now.sinks.emit(&Event::Checkpoint { step: now.step, path });
        Ok(())
    }
}

/// Draws fixed captions under fixed noise, by the averaged generator.
pub(super) struct SampleGrids<'a> {
    pub(super) cfg: &'a RunConfig,
    pub(super) run: &'a LockedRun,
    pub(super) encoders: &'a Encoders,
    pub(super) data: &'a Dataset,
}

/// Samples per caption of a grid.
const SAMPLES: u64 = 4;

impl SampleGrids<'_> {
    /// Draws the grid after `step` steps and returns where it lies; none if there is no caption to draw.
    pub(super) fn draw(
        &self,
        average: &ParamStore,
        step: u64,
        sinks: &mut Sinks,
    ) -> Result<Option<PathBuf>, TrainError> {
        let sampler = Sampler::new(&model(self.cfg, self.encoders, average), self.cfg.precision)?;
        let Some(path) = self.place(step) else { return Ok(None) };
        let known = shown(self.cfg, self.data, self.encoders);
        let noise: Vec<u64> = (0..SAMPLES).collect();
        let image = sheet::draw(&sampler, &known, &noise, self.cfg.seed, Options::default())?;
        self.run.verify()?;
        rgb::save_png(&image, &path)?;
        sinks.emit(&Event::Images { tag: "samples".to_owned(), step, path: path.clone() });
        Ok(Some(path))
    }

    /// Where the grid after `step` steps lies; none if there is no caption to draw.
    pub(super) fn place(&self, step: u64) -> Option<PathBuf> {
        let known = shown(self.cfg, self.data, self.encoders);
        (!known.is_empty()).then(|| self.run.samples().join(format!("step-{step:06}.png")))
    }
}

impl Hook for SampleGrids<'_> {
    fn after_step(&mut self, now: &mut AfterStep<'_>) -> Result<(), TrainError> {
        if now.is_due(self.cfg.train.sample_every) {
            self.draw(now.networks.ema.average(), now.step, now.sinks)?;
        }
        Ok(())
    }
}
