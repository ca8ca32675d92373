//! Compares this workspace's modules with golden files: inputs and outputs that another framework computed.
//!
//! A golden folder holds `golden.json` (the salt of its weights and settings), one `.safetensors` file per case, lists of the
//! authors' parameter names, and PyTorch checkpoints. Weights are not stored: they follow from each parameter's name
//! ([`drgan_tensor::testing::Fill`]).
mod cases;
pub mod exported;
mod golden;
mod measure;
mod report;
mod settings;

pub use golden::Golden;
pub use measure::relative_error;
pub use report::{Outcome, Report, Row};
pub use settings::Settings;

use anyhow::{Context, Result, bail};
use candle_core::Device;
use std::path::Path;

/// Largest relative error of an output.
pub const OUTPUT: f64 = 1e-4;
/// Largest relative error of a gradient.
pub const GRADIENT: f64 = 1e-3;

/// Runs every golden file in `dir` on a device. `weights` is a folder searched for trained weights that some files belong to.
///
/// # Errors
/// `dir` cannot be read, has no `golden.json`, or holds a file of unknown purpose. What goes wrong within a case is a
/// failed row of the report.
pub fn run(dir: &Path, weights: &Path, device: &Device) -> Result<Report> {
    run_files(dir, &files(dir)?, weights, device)
}

/// The names of the golden files in `dir`, sorted.
///
/// # Errors
/// `dir` cannot be read, holds a file of unknown purpose, or none of a known one.
pub fn files(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let name = entry?.file_name();
        names.push(name.into_string().map_err(|n| anyhow::anyhow!("{}: not UTF-8", n.display()))?);
    }
    names.sort();
    names.retain(|name| !cases::COMPANIONS.contains(&name.as_str()));
    let unknown: Vec<String> = names.iter().filter(|name| cases::of(name).is_none()).cloned().collect();
    if !unknown.is_empty() {
        bail!("{}: no golden file is called: {}", dir.display(), unknown.join(", "));
    }
    if names.is_empty() {
        bail!("{}: holds no golden file", dir.display());
    }
    Ok(names)
}

/// [`run`] for some of the files that [`files`] names.
///
/// # Errors
/// `dir` has no `golden.json`; a name of unknown purpose.
pub fn run_files(dir: &Path, names: &[String], weights: &Path, device: &Device) -> Result<Report> {
    let settings = Settings::read(&dir.join("golden.json"))?;
    let mut report = Report { notes: settings.notes.clone(), ..Report::default() };
    for name in names {
        let case = cases::of(name).with_context(|| format!("no golden file is called {name}"))?;
        let place = cases::Place { dir, name, settings: &settings, weights, device };
        match case(&place) {
            Ok(rows) => report.rows.extend(rows.into_iter().map(|row| row.of(name))),
            Err(e) => report.rows.push(Row::failed("", format!("{e:#}")).of(name)),
        }
    }
    Ok(report)
}
