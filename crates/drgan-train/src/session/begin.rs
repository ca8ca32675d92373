//! What stands before the first step of a session: the run is checked, then made ready to be written to.
use super::Session;
use super::check::check_continued;
use super::progress::Progress;
use crate::error::TrainError;
use crate::events::Event;
use crate::run::{Checkpoint, Warning, log};
use drgan_data::{Dataset, Split};
use drgan_tensor::file;
use drgan_tensor::internal::{agreeing, counted, shown};

/// The checkpoint that a run continues from, and what is wrong with newer ones.
pub(super) type Saved = (Checkpoint, Option<Warning>);

impl Session<'_> {
    /// Checks that the run continues with the data and the vocabulary it was begun with, then writes its settings and cuts its log
    /// to where it continues. What there is of `saved` is the checkpoint to continue from.
    pub(super) fn begin(
        &mut self,
        saved: Option<Saved>,
        data: &Dataset,
    ) -> Result<Option<Checkpoint>, TrainError> {
        let (saved, warning) = saved.unzip();
        let progress = match &saved {
            Some(checkpoint) => {
                check_continued(self.cfg, self.run, data)?;
                Progress::of(checkpoint)?
            }
            None => Progress::default(),
        };
        progress.check(self.cfg)?;
        let pairs = data.split(Split::Train).len() as u64;
        file::write_atomic(&self.run.config(), self.cfg.to_toml()?.as_bytes())?;
        let cut = log::cut(&self.run.log(), |line| progress.is_ahead(line, pairs))?;
        let text = format!("run folder {}", shown(self.run.path()));
        self.sinks.emit(&Event::Message { text });
        if cut > 0 {
            let text = format!(
                "log: {} after step {} {} cut off, as the run continues from there",
                counted(cut, "line[|s]"),
                if progress.gan { progress.step } else { progress.epochs * pairs },
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
