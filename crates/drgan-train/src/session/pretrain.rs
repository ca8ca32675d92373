//! The DAMSM phase: the loop over epochs.
use super::Session;
use super::resume::Phase;
use crate::damsm::{DamsmTrainer, Encoders, HeldOut};
use crate::error::TrainError;
use crate::events::{Event, Meter};
use crate::run::{Checkpoint, Checkpointed};
use drgan_data::Dataset;
use std::sync::Arc;

/// What is measured of the held-out images after an epoch.
const R_PRECISION: [&str; 3] = ["r_image_to_text", "r_text_to_image", "candidates"];

impl Session<'_> {
    /// Runs the DAMSM phase; false if it was interrupted. Notes on pictures are added to what was `told`.
    pub(super) fn pretrain(
        &mut self,
        data: &Arc<Dataset>,
        records: &[usize],
        encoders: &Encoders,
        saved: Option<&Checkpoint>,
        told: &mut Vec<String>,
    ) -> Result<bool, TrainError> {
        let cfg = self.cfg;
        let views = if cfg.loader.flip { 2 } else { 1 };
        let cropped = cfg.loader().crops_at_random();
        let mut meter = Meter::new("backbone features", (records.len() * views) as u64, 1, 0);
        self.sinks.emit(&match cropped {
            true => Event::Message {
                text: "images are cropped at random: backbone features are computed for each batch"
                    .to_owned(),
            },
            false => meter.started(),
        });
        let (sinks, interrupt) = (&mut *self.sinks, self.interrupt);
        let trainer = DamsmTrainer::new(cfg, encoders, data, records, |done| {
            sinks.emit(&meter.at(done as u64, &[], &[]));
            !interrupt.requested()
        })?;
        let Some(mut trainer) = trainer else { return Ok(false) };
        if !cropped {
            self.sinks.emit(&meter.ended());
        }
        self.warn_of_skipped(trainer.skipped());
        self.warn_of_odd(data, told);
        if let Some(c) = saved {
            trainer.restore(c)?;
        }
        let held_out = HeldOut::new(cfg, encoders, data)?;
        let mut skipped = trainer.skipped().len();
        let pairs_before = |epoch: usize| (epoch * records.len()) as u64;
        let mut meter =
            Meter::new(Phase::Damsm.name(), pairs_before(cfg.damsm.epochs), 1, pairs_before(trainer.epoch));
        self.sinks.emit(&meter.started());
        while trainer.epoch < cfg.damsm.epochs {
            let mut seen = pairs_before(trainer.epoch);
            let rates = [("lr", trainer.learning_rate(cfg))];
            let (sinks, interrupt) = (&mut *self.sinks, self.interrupt);
            let mean = trainer.run_epoch(cfg, encoders, data, |pairs, loss| {
                seen += pairs as u64;
                sinks.emit(&meter.at(seen, &[("damsm".to_owned(), loss)], &rates));
                !interrupt.requested()
            });
            let batches = seen.div_ceil(cfg.damsm.batch as u64);
            let Some(mean) = mean.map_err(|e| self.locate(e, Phase::Damsm, batches + 1))? else {
                return Ok(false);
            };
            let mut text = format!("DAMSM epoch {} of {}: loss {mean:.3}", trainer.epoch, cfg.damsm.epochs);
            if trainer.skipped().len() > skipped {
                skipped = trainer.skipped().len();
                self.warn_of_skipped(trainer.skipped());
            }
            let mut scores =
                vec![("epoch".to_owned(), trainer.epoch as f64), ("damsm".to_owned(), f64::from(mean))];
            meter.skip_pause();
            let measured = match &held_out {
                None => Err("fewer than two images are held out"),
                Some(held_out) => {
                    let r = held_out.r_precision(cfg, encoders, cfg.evaluate.candidates);
                    let r = r.map_err(|e| self.locate(e, Phase::Damsm, batches))?;
                    r.ok_or("all held-out images have the same words")
                }
            };
            let mut missing = Vec::new();
            match measured {
                Ok(r) => {
                    let numbers = [r.image_to_text, r.text_to_image, r.candidates as f64];
                    scores.extend(R_PRECISION.iter().map(|name| (*name).to_owned()).zip(numbers));
                    text += &format!(
                        ", held-out R-precision over {} candidates: {:.3} image to caption, {:.3} caption to image",
                        r.candidates, r.image_to_text, r.text_to_image
                    );
                }
                Err(why) => {
                    missing.push(format!("{}: {why}", R_PRECISION.join(", ")));
                    text += &format!(", held-out R-precision not taken: {why}");
                }
            }
            self.sinks.emit(&Event::Message { text });
            self.sinks.emit(&Event::Evaluation { step: pairs_before(trainer.epoch), scores, missing });
            // What does not give numbers any more must not become the last good checkpoint.
            let checkpoint = trainer
                .verify_finite(cfg, encoders)
                .and_then(|()| {
                    Phase::Damsm.checkpoint(cfg, 0, encoders.captions.device(), &[encoders, &trainer])
                })
                .map_err(|e| self.locate(e, Phase::Damsm, batches))?;
            let path = self.run.save(&checkpoint, 0)?;
            self.sinks.emit(&Event::Checkpoint { step: pairs_before(trainer.epoch), path });
            meter.skip_pause();
        }
        self.sinks.emit(&meter.ended());
        Ok(true)
    }
}
