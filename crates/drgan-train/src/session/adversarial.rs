//! The GAN phase: the loop over steps.
use super::feed::Feed;
use super::hooks::{AfterStep, Checkpoints, EarlyEvaluation, Hook, Log, SampleGrids, model};
use super::resume::Phase;
use super::{Outcome, Session, Watch};
use crate::config::RunConfig;
use crate::damsm::Encoders;
use crate::error::TrainError;
use crate::evaluate::Evaluator;
use crate::events::{Event, Meter};
use crate::gan::{Networks, Objective, PairLabels, StepBatch};
use crate::run::{Checkpoint, Checkpointed, History, Pruner};
use crate::start::starting_model;
use candle_core::Tensor;
use drgan_data::{Batch, Dataset, Loader, Split};
use std::sync::Arc;

/// KID is measured for the first time after this part of a run.
const EARLY: u64 = 8;

impl Session<'_> {
    /// All steps that are left, with `encoders` as constants; `told` are the notes on pictures that were given already. The
    /// `watch` ends before the last measure, after which there is nothing more to save.
    pub(super) fn train_gan(
        &mut self,
        data: &Arc<Dataset>,
        encoders: &Encoders,
        saved: Option<&Checkpoint>,
        told: &mut Vec<String>,
        watch: Watch,
    ) -> Result<Outcome, TrainError> {
        let (cfg, run) = (self.cfg, self.run);
        let (mut networks, mut history, mut step) =
            (Networks::new(cfg, encoders.captions.device())?, History::default(), 0);
        if let Some(checkpoint) = saved {
            networks.restore(checkpoint)?;
            history.restore(checkpoint)?;
            step = checkpoint.get("step")?;
        } else if let Some(model) = starting_model(cfg, encoders.captions.device())? {
            networks.start_generator_from(model.generator())?;
        }
        let evaluator = match self.evaluate && cfg.evaluate.samples > 1 {
            true => Some(Evaluator::new(cfg, encoders, data)?),
            false => None,
        };
        let (first, total) = (step, cfg.train.steps);
        let loader = Loader::new(data.clone(), Split::Train, cfg.loader(), step)?;
        let mut feed = Feed::new(loader, total.saturating_sub(step), encoders.captions.device())?;
        if first == total {
            let text = format!(
                "all {total} steps are done: samples and scores alone are made again (more steps: train.steps)"
            );
            self.sinks.emit(&Event::Message { text });
        }
        let image_encoder = &encoders.image;
        let objective = Objective { image_encoder, gammas: cfg.damsm.gammas, weights: &cfg.loss };
        let meter = Meter::new(Phase::Gan.name(), total, cfg.loader.batch as u64, step);
        self.sinks.emit(&meter.started());
        let ended = meter.ended();
        let grids = SampleGrids { cfg, run, encoders, data };

        // A checkpoint holds what was measured before it, and a request to stop during a long measure ends at this step.
        let mut measures: Vec<Box<dyn Hook + '_>> = vec![Box::new(Log { every: cfg.train.log_every, meter })];
        if let Some(evaluator) = &evaluator {
            measures.push(Box::new(EarlyEvaluation { cfg, encoders, at: (total / EARLY).max(1), evaluator }));
        }
        let mut keepers: Vec<Box<dyn Hook + '_>> = vec![
            Box::new(Checkpoints { cfg, run, encoders, pruner: Pruner::default() }),
            Box::new(SampleGrids { ..grids }),
        ];

        let mut skipped = 0;
        while step < total {
            let Some(next) = feed.next() else { break };
            let batch = prepare(cfg, next?, encoders)?;
            let lr_scale = 1. - (1. - cfg.train.final_lr) * step as f64 / total as f64;
            let scalars = networks.step(step, &objective, &batch, lr_scale);
            let scalars = scalars.map_err(|e| self.locate(e, Phase::Gan, step + 1))?;
            step += 1;
            if feed.skipped().len() > skipped {
                skipped = feed.skipped().len();
                self.warn_of_skipped(&feed.skipped());
            }
            let mut now = AfterStep {
                step,
                last: step == total,
                stopping: false,
                rates: [
                    ("lr", cfg.generator_opt.lr * lr_scale),
                    ("lr_discriminator", cfg.discriminator_opt.lr * lr_scale),
                ],
                scalars: &scalars,
                batch: &batch,
                networks: &networks,
                history: &mut history,
                sinks: self.sinks,
            };
            let measured = measures.iter_mut().try_for_each(|hook| hook.after_step(&mut now));
            now.stopping = self.interrupt.requested();
            let stopping = now.stopping;
            let done =
                measured.and_then(|()| keepers.iter_mut().try_for_each(|hook| hook.after_step(&mut now)));
            done.map_err(|e| self.locate(e, Phase::Gan, step))?;
            if stopping && (step < total || evaluator.is_some()) {
                return Ok(Outcome::Interrupted { step, checkpoint: self.latest_checkpoint() });
            }
        }
        drop((measures, keepers));
        self.sinks.emit(&ended);
        drop(feed);
        self.warn_of_odd(data, told);
        let grid = match step > first {
            true => grids.place(step),
            false => grids.draw(networks.ema.average(), step, self.sinks)?,
        };
        drop(watch);
        let evaluation = match &evaluator {
            Some(e) => {
                let model = model(cfg, encoders, networks.ema.average());
                let evaluation = e.evaluate(&model, step, &history)?;
                let (scores, missing) = (evaluation.scores(), evaluation.missing());
                self.sinks.emit(&Event::Evaluation { step, scores, missing });
                Some(Box::new(evaluation))
            }
            None => None,
        };
        let checkpoint = self.latest_checkpoint().unwrap_or_else(|| run.checkpoints());
        run.verify_whole(&[&checkpoint])?;
        if let Some(grid) = &grid {
            run.verify_whole(&[grid])?;
        }
        Ok(Outcome::Finished { grid, checkpoint, evaluation })
    }
}

/// A loader's batch, whose images are where the networks are, with its captions as features.
fn prepare(
    cfg: &RunConfig,
    (batch, images): (Batch, Vec<Tensor>),
    encoders: &Encoders,
) -> Result<StepBatch, TrainError> {
    let tokens = encoders.captions.tokens(&batch.captions)?;
    let text = encoders.captions.embed_tokens(&tokens)?;
    let classes_count = cfg.recipe.compares_classes_one_by_one() || batch.classes().is_some();
    let classes = batch.class_ids.iter().map(|class| class.filter(|_| classes_count));
    let labels =
        PairLabels::new(cfg.recipe, classes.zip(batch.keys.iter().map(String::as_str)), &tokens.ids)?;
    let dtype = text.sentence.dtype();
    let images = images.iter().map(|image| image.to_dtype(dtype)).collect::<candle_core::Result<_>>()?;
    Ok(StepBatch { images, text, labels })
}
