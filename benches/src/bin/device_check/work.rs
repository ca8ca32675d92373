//! The settings and the files that parts work with.
use anyhow::{Context, Result};
use drgan_train::config::{Overrides, RunConfig};
use std::fmt;
use std::path::PathBuf;

/// A preset's settings with some changed.
pub(crate) fn preset(name: &str, set: &[String]) -> Result<RunConfig> {
    Ok(RunConfig::resolve(name, &Overrides { file: None, set })?)
}

/// A folder that comes with the program: beside it where it was unpacked, or in the repository that it is started in.
pub(crate) fn folder(beside: &str, in_repository: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().context("where the program lies is not known")?;
    let beside_it = program.parent().map(|folder| folder.join(beside));
    let here = std::env::current_dir().unwrap_or_default();
    let above = here.ancestors().map(|folder| folder.join(in_repository));
    let found = beside_it.into_iter().chain(above).find(|folder| folder.is_dir());
    found.with_context(|| {
        format!("there is no folder {beside} beside the program: unpack the whole archive, or start in the repository")
    })
}

/// What is timed, here and in PyTorch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    /// Training steps, or else sampling.
    pub(crate) trains: bool,
    pub(crate) preset: &'static str,
    pub(crate) batch: usize,
}

impl Work {
    /// The preset's settings at this batch.
    pub(crate) fn settings(&self) -> Result<RunConfig> {
        preset(self.preset, &[format!("loader.batch={}", self.batch)])
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.trains { "train" } else { "sample" };
        write!(f, "{what} {} at batch {}", self.preset, self.batch)
    }
}

/// Everything that is timed.
pub(crate) fn works(quick: bool) -> Vec<Work> {
    let presets: &[(&'static str, usize)] =
        if quick { &[("tiny", 4)] } else { &[("emoji-64", 16), ("birds", 4), ("birds", 22)] };
    let both =
        |&(preset, batch): &(&'static str, usize)| [true, false].map(|trains| Work { trains, preset, batch });
    presets.iter().flat_map(both).collect()
}
