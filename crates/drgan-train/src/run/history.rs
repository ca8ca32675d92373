//! What was measured during a run: single numbers that its checkpoints carry, so that a resumed run reports them too.
use super::checkpoint::Checkpoint;
use super::section::Checkpointed;
use crate::error::TrainError;
use std::collections::BTreeMap;

/// Measured numbers by name; a name is also the number's key in a checkpoint's metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History(BTreeMap<&'static str, f64>);

impl History {
    /// KID of the averaged generator at one eighth of the run.
    pub const EARLY_KID: &'static str = "early_kid";

    /// All names that are looked for in a checkpoint.
    const NAMES: [&'static str; 1] = [Self::EARLY_KID];

    /// The numbers that a checkpoint carries.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let found = |name: &'static str| Some((name, checkpoint.get(name).ok()?));
        Self(Self::NAMES.into_iter().filter_map(found).collect())
    }

    /// Records the measured number `name`.
    pub fn record(&mut self, name: &'static str, value: f64) {
        self.0.insert(name, value);
    }

    /// A number, if it was measured.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

impl Checkpointed for History {
    fn save(&self, to: &mut Checkpoint) -> Result<(), TrainError> {
        self.0.iter().for_each(|(name, value)| to.set(name, value));
        Ok(())
    }

    fn restore(&mut self, from: &Checkpoint) -> Result<(), TrainError> {
        *self = Self::of(from);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_carries_what_was_measured_and_nothing_else() -> Result<(), TrainError> {
        let (mut history, mut checkpoint) = (History::default(), Checkpoint::default());
        history.save(&mut checkpoint)?;
        assert_eq!(History::of(&checkpoint), history);
        history.record(History::EARLY_KID, 2.5);
        history.save(&mut checkpoint)?;
        assert_eq!(checkpoint.meta["early_kid"], "2.5");
        assert_eq!(History::of(&checkpoint).get(History::EARLY_KID), Some(2.5));
        Ok(())
    }
}
