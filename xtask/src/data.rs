//! `cargo xtask data`.
use crate::run;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Where the embedded data set lies.
const EMOJI: &str = "crates/drgan-data/assets/fluent-emoji.tar";

/// Data sets.
#[derive(Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Pack the embedded emoji data set from its two npm packages (needs `npm`, or both files).
    Emoji {
        /// The packed npm package @lobehub/fluent-emoji-3d (.tgz).
        #[arg(long, value_name = "FILE", requires = "emojibase")]
        fluent: Option<PathBuf>,
        /// The packed npm package emojibase-data (.tgz).
        #[arg(long, value_name = "FILE", requires = "fluent")]
        emojibase: Option<PathBuf>,
        /// Where the tar goes.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Any other `drgan data` command.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

impl Data {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.task {
            Task::Emoji { fluent, emojibase, out } => {
                let fluent = fluent.map_or_else(|| pack("@lobehub/fluent-emoji-3d@1.1.0"), Ok)?;
                let emojibase = emojibase.map_or_else(|| pack("emojibase-data@17.0.0"), Ok)?;
                let out = out.unwrap_or_else(|| run::root().join(EMOJI));
                let files = [("--fluent", fluent), ("--emojibase", emojibase), ("--out", out)];
                let files =
                    files.into_iter().flat_map(|(option, path)| [option.into(), path.into_os_string()]);
                run::drgan(["data", "emoji"].map(OsString::from).into_iter().chain(files))
            }
            Task::Other(args) => run::drgan(std::iter::once("data").chain(args.iter().map(String::as_str))),
        }
    }
}

/// `npm pack NAME` into target/npm, once; the file it made.
fn pack(name: &str) -> Result<PathBuf> {
    let folder = run::root().join("target/npm");
    std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    if let Some(packed) = packed(&folder, name)? {
        return Ok(packed);
    }
    let status = Command::new("npm").args(["pack", "--silent", name]).current_dir(&folder).status();
    if !status.context("could not start npm: install it, or give --fluent FILE --emojibase FILE")?.success() {
        bail!("`npm pack {name}` failed: see its message above")
    }
    packed(&folder, name)?.with_context(|| format!("npm left no .tgz of {name} in {}", folder.display()))
}

/// The packed file of `name`, the last by name where there are several versions.
fn packed(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    let prefix = name.trim_start_matches('@').replace(['/', '@'], "-");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let file = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if file.starts_with(&prefix) && file.ends_with(".tgz") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found.pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_fetched_before_is_found_again() -> Result<()> {
        let folder = tempfile::tempdir()?;
        assert_eq!(packed(folder.path(), "@lobehub/fluent-emoji-3d")?, None);
        let file = folder.path().join("lobehub-fluent-emoji-3d-1.1.0.tgz");
        std::fs::write(&file, "")?;
        assert_eq!(packed(folder.path(), "@lobehub/fluent-emoji-3d")?, Some(file));
        assert_eq!(packed(folder.path(), "emojibase-data")?, None);
        Ok(())
    }
}
