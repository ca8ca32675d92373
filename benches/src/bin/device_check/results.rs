//! What was found: a file per part, which a later call continues.
use crate::options::Part;
use anyhow::{Context, Result};
use drgan_tensor::file::write_atomic;
use drgan_tensor::ops::testing::DeviceFacts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The device that was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checked {
    pub(crate) name: String,
    /// Whether it is no GPU: its figures of speed mean nothing.
    pub(crate) emulated: bool,
    pub(crate) compute_capability: String,
    pub(crate) memory_bytes: u64,
    pub(crate) driver_cuda: String,
}

impl From<DeviceFacts> for Checked {
    fn from(facts: DeviceFacts) -> Self {
        Self {
            name: facts.name,
            emulated: facts.is_emulated,
            compute_capability: format!("{}.{}", facts.capability.0, facts.capability.1),
            memory_bytes: facts.memory,
            driver_cuda: format!("{}.{}", facts.driver / 1000, facts.driver % 1000 / 10),
        }
    }
}

/// How one thing that was looked at came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "outcome", content = "why")]
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// One thing of a part that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// What was measured.
    pub(crate) figures: Value,
}

/// How a part came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Passed,
    Failed,
    Skipped,
    Unfinished,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
            Self::Unfinished => "unfinished",
        }
    }
}

/// What is kept of a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) part: String,
    pub(crate) device: Checked,
    pub(crate) quick: bool,
    pub(crate) seconds: f64,
    pub(crate) items: Vec<Item>,
    /// The names of what is left to do, for lack of time or since the user has stopped it.
    pub(crate) left: Vec<String>,
}

impl Results {
    pub(crate) fn new(part: Part, device: &Checked, quick: bool) -> Self {
        let device = device.clone();
        Self { part: part.name(), device, quick, seconds: 0., items: Vec::new(), left: Vec::new() }
    }

    /// A part that failed as a whole, or was skipped.
    pub(crate) fn whole(self, outcome: Outcome) -> Self {
        let items = vec![Item { name: self.part.clone(), outcome, figures: Value::Null }];
        Self { items, ..self }
    }

    /// The names and reasons of what failed.
    pub(crate) fn failures(&self) -> Vec<(&str, &str)> {
        let failed = |item| match item {
            &Item { ref name, outcome: Outcome::Failed(ref why), .. } => Some((name.as_str(), why.as_str())),
            _ => None,
        };
        self.items.iter().filter_map(failed).collect()
    }

    pub(crate) fn state(&self) -> State {
        let skipped = |item: &Item| matches!(item.outcome, Outcome::Skipped(_));
        if !self.failures().is_empty() {
            State::Failed
        } else if !self.left.is_empty() {
            State::Unfinished
        } else if self.items.iter().all(skipped) {
            State::Skipped
        } else {
            State::Passed
        }
    }

    /// Whether nothing of it is left to do.
    pub(crate) fn is_finished(&self) -> bool {
        self.left.is_empty()
    }

    fn path(folder: &Path, part: &str) -> PathBuf {
        folder.join(format!("{part}.json"))
    }

    /// What an earlier call has kept of a part, if it is of the same device and of the same sizes.
    pub(crate) fn kept(folder: &Path, like: &Self) -> Option<Self> {
        let text = std::fs::read(Self::path(folder, &like.part)).ok()?;
        let kept: Self = serde_json::from_slice(&text).ok()?;
        (kept.device == like.device && kept.quick == like.quick).then_some(kept)
    }

    pub(crate) fn keep(&self, folder: &Path) -> Result<()> {
        let path = Self::path(folder, &self.part);
        let text = serde_json::to_string_pretty(self)? + "\n";
        write_atomic(&path, text.as_bytes()).with_context(|| path.display().to_string())
    }
}

/// A device for tests.
#[cfg(test)]
pub(crate) fn tests_device() -> Checked {
    Checked {
        name: "a device".into(),
        emulated: true,
        compute_capability: "8.0".into(),
        memory_bytes: 1,
        driver_cuda: "13.0".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::tests_device as device;
    use super::*;

    #[test]
    fn what_is_kept_is_of_one_device_and_one_size() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut results = Results::new(Part::Ops, &device(), true);
        assert_eq!(Results::kept(folder.path(), &results), None);
        for outcome in [Outcome::Passed, Outcome::Failed("off".into()), Outcome::Skipped("none".into())] {
            results.items.push(Item { name: "a".into(), outcome, figures: 1.5.into() });
        }
        results.keep(folder.path())?;
        assert_eq!(Results::kept(folder.path(), &results).as_ref(), Some(&results));
        assert_eq!(Results::kept(folder.path(), &Results { quick: false, ..results.clone() }), None);
        let other = Checked { name: "another".into(), ..device() };
        assert_eq!(Results::kept(folder.path(), &Results { device: other, ..results.clone() }), None);
        std::fs::write(folder.path().join("ops.json"), "{")?;
        assert_eq!(Results::kept(folder.path(), &results), None);
        Ok(())
    }

    #[test]
    fn a_failure_stands_above_what_is_left_and_what_was_skipped() {
        let part = || Results::new(Part::Ops, &device(), true);
        let with = |outcome: Outcome, left: &[&str]| {
            let left = left.iter().map(|name| (*name).to_owned()).collect();
            Results { left, ..part().whole(outcome) }.state()
        };
        assert_eq!(with(Outcome::Passed, &[]), State::Passed);
        assert_eq!(with(Outcome::Passed, &["b"]), State::Unfinished);
        assert_eq!(with(Outcome::Skipped("no Python".into()), &[]), State::Skipped);
        assert_eq!(with(Outcome::Failed("off".into()), &["b"]), State::Failed);
    }
}
