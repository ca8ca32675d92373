//! What stands before the first step of a session: the run is checked, then made ready to be written to.
use super::Session;
use super::resume::Phase;
use crate::damsm::{Encoders, epochs_done};
use crate::error::TrainError;
use crate::events::Event;
use crate::run::{Checkpoint, Fingerprint, Warning, log};
use drgan_data::{Dataset, Split};
use drgan_tensor::file;
use drgan_tensor::internal::{agreeing, counted, shown};
use serde_json::Value;

/// The checkpoint that a run continues from, and what is wrong with newer ones.
pub(super) type Saved = (Checkpoint, Option<Warning>);

/// How far a run is that is continued.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// Pairs that the encoders were trained with.
    pairs: u64,
    /// Steps of the GAN.
    step: u64,
    /// Whether the encoders' phase is over, so that its lines are all of this past.
    gan: bool,
}

impl Position {
    fn of(checkpoint: Option<&Checkpoint>, records: usize) -> Result<Self, TrainError> {
        Ok(match checkpoint {
            None => Self::default(),
            Some(c) if Phase::of(c)? == Phase::Gan => Self { pairs: 0, step: c.get("step")?, gan: true },
            Some(c) => Self { pairs: epochs_done(c)? * records as u64, step: 0, gan: false },
        })
    }

    /// Whether a line of the log tells of something that lies ahead of the run once more. Other phases than the two are done by each
    /// process anew, if at all.
    fn is_ahead(&self, line: &Value) -> bool {
        let Some(step) = line["step"].as_u64() else { return false };
        let phase = line["phase"].as_str().unwrap_or(Phase::Gan.name());
        match () {
            () if phase == Phase::Gan.name() => step > self.step,
            () if phase == Phase::Damsm.name() => !self.gan && step > self.pairs,
            // Begun, but not to its end: it will be begun again.
            () => !self.gan && self.pairs == 0,
        }
    }
}

impl Session<'_> {
    /// Checks that the run continues with the data and the vocabulary it was begun with, then writes its settings and cuts its log
    /// to where it continues. What there is of `saved` is the checkpoint to continue from.
    pub(super) fn begin(
        &mut self,
        saved: Option<Saved>,
        data: &Dataset,
    ) -> Result<Option<Checkpoint>, TrainError> {
        let (saved, warning) = saved.unzip();
        if saved.is_some() {
            Fingerprint::check_data(self.run, data)?;
            Encoders::kept_tokenizer(self.cfg, self.run)?;
        }
        let position = Position::of(saved.as_ref(), data.split(Split::Train).len())?;
        file::write_atomic(&self.run.config(), self.cfg.to_toml()?.as_bytes())?;
        let cut = log::cut(&self.run.log(), |line| position.is_ahead(line))?;
        let text = format!("run folder {}", shown(self.run.path()));
        self.sinks.emit(&Event::Message { text });
        if cut > 0 {
            let text = format!(
                "log: {} after step {} {} cut off, as the run continues from there",
                counted(cut, "line[|s]"),
                if position.gan { position.step } else { position.pairs },
                agreeing(cut, "[is|are]")
            );
            self.sinks.emit(&Event::Message { text });
        }
        if let Some(w) = warning.flatten() {
            self.sinks.emit(&Event::Warning { text: w.to_string() });
        }
        Ok(saved)
    }

    /// The newest good checkpoint; none if the run has none at all.
    pub(super) fn last_checkpoint(&self) -> Result<Option<Saved>, TrainError> {
        match self.latest_checkpoint() {
            None => Ok(None),
            Some(_) => Checkpoint::load_latest(&self.run.checkpoints()).map(Some),
        }
    }

    /// Lets a new run's folder stay where something can be continued, or looked into: one that was refused leaves nothing. Of what
    /// fails because the folder is gone, that is told.
    pub(super) fn decide_what_stays<T>(&self, done: Result<T, TrainError>) -> Result<T, TrainError> {
        if matches!(done, Ok(_) | Err(TrainError::Diverged { .. })) {
            self.run.keep();
        }
        if done.is_err() {
            self.run.verify_folder()?;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_of_what_will_be_done_again_are_told_from_those_of_what_is_done() {
        let early = Position::default();
        let damsm = Position { pairs: 72, ..early };
        let gan = Position { step: 6, gan: true, ..early };
        for (line, of_early, of_damsm, of_gan) in [
            (json!({"event": "message", "text": "a"}), false, false, false),
            (json!({"phase": "backbone features", "step": 0}), true, false, false),
            (json!({"phase": "backbone features", "step": 12}), true, false, false),
            (json!({"phase": "damsm", "step": 72}), true, false, false),
            (json!({"phase": "damsm", "step": 84}), true, true, false),
            (json!({"phase": "gan", "step": 6}), true, true, false),
            (json!({"phase": "gan", "step": 7}), true, true, true),
            (json!({"event": "checkpoint", "step": 9}), true, true, true),
        ] {
            let found = [early, damsm, gan].map(|position| position.is_ahead(&line));
            assert_eq!(found, [of_early, of_damsm, of_gan], "{line}");
        }
    }
}
