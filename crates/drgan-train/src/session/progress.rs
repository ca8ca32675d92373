//! How far a run is that is continued, and whether its settings let it go on from there.
use super::resume::Phase;
use crate::config::RunConfig;
use crate::damsm::epochs_done;
use crate::error::TrainError;
use crate::run::{self, Checkpoint, RunDir};
use serde_json::Value;

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Epochs of the DAMSM that are done; 0 once its phase is over.
    pub(super) epochs: u64,
    /// Steps of the GAN that are done.
    pub(super) step: u64,
    /// Whether the encoders' phase is over.
    pub(super) gan: bool,
}

impl Progress {
    /// How far the newest good checkpoint of a run is: at the start, if there is none at all.
    ///
    /// # Errors
    /// Checkpoints of which none can be read.
    pub fn of_run(run: &RunDir) -> Result<Self, TrainError> {
        if run::list(&run.checkpoints()).is_ok_and(|found| found.is_empty()) {
            return Ok(Self::default());
        }
        // All of it: one that is damaged anywhere is passed over when the run goes on.
        Self::of(&Checkpoint::load_latest(&run.checkpoints())?.0)
    }

    /// How far a run was when this checkpoint was written.
    pub(super) fn of(checkpoint: &Checkpoint) -> Result<Self, TrainError> {
        Ok(match Phase::of(checkpoint)? {
            Phase::Gan => Self { step: checkpoint.get("step")?, gan: true, ..Self::default() },
            Phase::Damsm => Self { epochs: epochs_done(checkpoint)?, ..Self::default() },
        })
    }

    /// Refuses settings by which the run would have ended before what is done.
    ///
    /// # Errors
    /// The setting, and how much is done.
    pub(super) fn check(&self, cfg: &RunConfig) -> Result<(), TrainError> {
        let (key, asked, done) = match self.gan {
            true => ("train.steps", cfg.train.steps, self.step),
            false => ("damsm.epochs", cfg.damsm.epochs as u64, self.epochs),
        };
        if asked >= done {
            return Ok(());
        }
        let reason =
            format!("{asked}, and the run has done {done}; give at least as many, or begin a new run");
        Err(TrainError::Config(format!("config `{key}`: {reason}")))
    }

    /// The shares of both phases, the encoders' and the GAN's, that are left by these settings.
    pub fn left(&self, cfg: &RunConfig) -> [f64; 2] {
        let left = |done: u64, all: u64| all.saturating_sub(done) as f64 / all.max(1) as f64;
        let encoders = if self.gan { 0. } else { left(self.epochs, cfg.damsm.epochs as u64) };
        [encoders, left(self.step, cfg.train.steps)]
    }

    /// Whether a line of the log tells of something that lies ahead of the run once more; an epoch of the DAMSM has `pairs` pairs.
    /// Other phases than the two are done by each process anew, if at all.
    pub(super) fn is_ahead(&self, line: &Value, pairs: u64) -> bool {
        let Some(step) = line["step"].as_u64() else { return false };
        let phase = line["phase"].as_str().unwrap_or(Phase::Gan.name());
        match () {
            () if phase == Phase::Gan.name() => step > self.step,
            () if phase == Phase::Damsm.name() => !self.gan && step > self.epochs * pairs,
            // Begun, but not to its end: it will be begun again.
            () => !self.gan && self.epochs == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use serde_json::json;

    #[test]
    fn lines_of_what_will_be_done_again_are_told_from_those_of_what_is_done() {
        let early = Progress::default();
        let damsm = Progress { epochs: 2, ..early };
        let gan = Progress { step: 6, gan: true, ..early };
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
            let found = [early, damsm, gan].map(|progress| progress.is_ahead(&line, 36));
            assert_eq!(found, [of_early, of_damsm, of_gan], "{line}");
        }
    }

    #[test]
    fn settings_that_end_before_what_is_done_are_refused_and_what_is_left_is_counted() {
        let set = ["train.steps=6", "damsm.epochs=4"].map(str::to_owned);
        let cfg = RunConfig::resolve("tiny", &Overrides { file: None, set: &set }).unwrap();
        let (damsm, gan) = (
            |epochs| Progress { epochs, ..Progress::default() },
            |step| Progress { step, gan: true, epochs: 0 },
        );
        for (progress, left) in
            [(damsm(0), [1., 1.]), (damsm(3), [0.25, 1.]), (gan(3), [0., 0.5]), (gan(6), [0., 0.])]
        {
            progress.check(&cfg).unwrap();
            assert_eq!(progress.left(&cfg), left, "{progress:?}");
        }
        for (progress, key) in [(damsm(5), "damsm.epochs"), (gan(7), "train.steps")] {
            let e = progress.check(&cfg).unwrap_err().to_string();
            assert!(e.contains(key) && e.contains("the run has done"), "{e}");
        }
    }
}
