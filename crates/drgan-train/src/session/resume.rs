//! Which phase a checkpoint was written in, and checkpoints of both phases.
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::run::{Checkpoint, Checkpointed};

/// The phase of a run that a checkpoint was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Between two epochs of the DAMSM.
    Damsm,
    /// Between two steps of the GAN.
    Gan,
}

impl Phase {
    /// The phase of a checkpoint.
    ///
    /// # Errors
    /// Its metadata is not of this version.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, TrainError> {
        match checkpoint.get::<String>("phase")?.as_str() {
            "damsm" => Ok(Self::Damsm),
            "gan" => Ok(Self::Gan),
            other => Err(TrainError::Run(format!(
                "checkpoint: unknown phase `{other}`; was it written by a newer drgan?"
            ))),
        }
    }

    /// Its name in metadata, events and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Damsm => "damsm",
            Self::Gan => "gan",
        }
    }

    /// A checkpoint of everything that `owners` have, after `step` steps of the GAN. The loader's position is the step: batch
    /// n belongs to step n.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn checkpoint(
        self,
        cfg: &RunConfig,
        step: u64,
        owners: &[&dyn Checkpointed],
    ) -> Result<Checkpoint, TrainError> {
        let mut checkpoint = Checkpoint::default();
        checkpoint.set("config", cfg.to_toml()?);
        checkpoint.set("phase", self.name());
        checkpoint.set("step", step);
        owners.iter().try_for_each(|owner| owner.save(&mut checkpoint))?;
        Ok(checkpoint)
    }
}
