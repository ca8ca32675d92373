//! What was found: a file per part, which a later call continues.
use crate::options::Part;
use anyhow::{Context, Result};
use drgan_tensor::file::write_atomic;
use drgan_tensor::ops::Convolutions;
use drgan_tensor::ops::testing::DeviceFacts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What was checked: the device, and with which program and library. Results of another are not continued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checked {
    pub(crate) name: String,
    /// Whether it is no GPU: its figures of speed mean nothing.
    pub(crate) emulated: bool,
    pub(crate) compute_capability: String,
    pub(crate) memory_bytes: u64,
    pub(crate) driver_cuda: String,
    /// What computes convolutions, with its version.
    pub(crate) convolutions: String,
    /// Why that is not cuDNN, where it is wanted.
    pub(crate) lacks_cudnn: Option<String>,
    /// The version of the program, and a digest of its file.
    pub(crate) program: String,
}

impl Checked {
    /// What a device says of itself, and this program.
    ///
    /// # Errors
    /// The program's own file cannot be read.
    pub(crate) fn new(facts: DeviceFacts, convolutions: &Convolutions) -> Result<Self> {
        let lacks_cudnn = match convolutions {
            Convolutions::Columns { lacks } => lacks.clone(),
            _ => None,
        };
        Ok(Self {
            name: facts.name,
            emulated: facts.is_emulated,
            compute_capability: format!("{}.{}", facts.capability.0, facts.capability.1),
            memory_bytes: facts.memory,
            driver_cuda: format!("{}.{}", facts.driver / 1000, facts.driver % 1000 / 10),
            convolutions: convolutions.to_string(),
            lacks_cudnn,
            program: program()?,
        })
    }

    /// In what it differs from another, as `what: other's instead of own`; nothing where in nothing.
    fn differences(&self, other: &Self) -> Vec<String> {
        let pairs = |checked: &Self| {
            [
                ("device", checked.name.clone()),
                ("compute capability", checked.compute_capability.clone()),
                ("memory", checked.memory_bytes.to_string()),
                ("driver's CUDA", checked.driver_cuda.clone()),
                ("convolutions", checked.convolutions.clone()),
                ("program", checked.program.clone()),
            ]
        };
        let both = pairs(self).into_iter().zip(pairs(other));
        both.filter(|((_, own), (_, other))| own != other)
            .map(|((what, own), (_, other))| format!("{what}: {other} instead of {own}"))
            .collect()
    }
}

/// The version of this program, and a digest of its file (FNV-1a): one that was built of other sources has another.
fn program() -> Result<String> {
    let path = std::env::current_exe().context("where the program lies is not known")?;
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let step = |digest: u64, byte: &u8| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let digest = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    Ok(format!("{} {digest:016x}", env!("CARGO_PKG_VERSION")))
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

    /// Takes what has failed for what is left to do.
    pub(crate) fn try_failures_again(&mut self) {
        let failed: Vec<String> = self.failures().iter().map(|(name, _)| (*name).to_owned()).collect();
        self.items.retain(|item| !failed.contains(&item.name));
        self.left.splice(0..0, failed);
    }

    /// Notes that the program was ended while this item was worked on.
    pub(crate) fn died(&mut self, name: &str, how: String) {
        self.left.retain(|left| left != name);
        self.items.push(Item { name: name.to_owned(), outcome: Outcome::Failed(how), figures: Value::Null });
    }

    pub(crate) fn path(folder: &Path, part: &str) -> PathBuf {
        folder.join(format!("{part}.json"))
    }

    /// What a call has kept of a part, whatever it checked; none where it has kept nothing that can be read.
    pub(crate) fn read(folder: &Path, part: &str) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(folder, part)).ok()?).ok()
    }

    /// What an earlier call has kept of a part, if it is of the same device, program and library, and of the same sizes.
    pub(crate) fn kept(folder: &Path, like: &Self) -> Option<Self> {
        let kept = Self::read(folder, &like.part)?;
        (kept.device == like.device && kept.quick == like.quick).then_some(kept)
    }

    /// Why what an earlier call has kept of a part is not continued; none where it is, or where there is nothing.
    pub(crate) fn not_continued(folder: &Path, like: &Self) -> Option<String> {
        let path = Self::path(folder, &like.part);
        if !path.exists() {
            return None;
        }
        let Some(kept) = Self::read(folder, &like.part) else {
            return Some(format!("{} is of another version, or cut", path.display()));
        };
        let mut differ = like.device.differences(&kept.device);
        if kept.quick != like.quick {
            let sizes = |quick| if quick { "small" } else { "all" };
            differ.push(format!("sizes: {} instead of {}", sizes(kept.quick), sizes(like.quick)));
        }
        (!differ.is_empty()).then(|| format!("the earlier results are of another: {}", differ.join("; ")))
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
        convolutions: "cuDNN 9.13.0".into(),
        lacks_cudnn: None,
        program: "0 1".into(),
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
    fn what_is_of_another_program_or_library_is_not_continued_and_that_is_said() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let results = Results::new(Part::Ops, &device(), true);
        let why = |like: &Results| Results::not_continued(folder.path(), like);
        assert_eq!(why(&results), None);
        results.keep(folder.path())?;
        assert_eq!(why(&results), None);
        let of = |device: Checked| Results { device, ..results.clone() };
        for (like, said) in [
            (of(Checked { program: "0 2".into(), ..device() }), "program: 0 1 instead of 0 2"),
            (
                of(Checked { convolutions: "columns and cuBLAS".into(), ..device() }),
                "convolutions: cuDNN 9.13.0 instead of columns and cuBLAS",
            ),
            (Results { quick: false, ..results.clone() }, "sizes: small instead of all"),
        ] {
            assert!(Results::kept(folder.path(), &like).is_none());
            assert!(why(&like).is_some_and(|why| why.contains(said)), "{said}: {:?}", why(&like));
        }
        std::fs::write(Results::path(folder.path(), "ops"), "{}")?;
        assert!(why(&results).is_some_and(|why| why.contains("ops.json is of another version")));
        Ok(())
    }

    #[test]
    fn a_program_is_known_by_its_file() -> Result<()> {
        let program = program()?;
        assert!(program.starts_with(env!("CARGO_PKG_VERSION")) && program.len() > 16, "{program}");
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
