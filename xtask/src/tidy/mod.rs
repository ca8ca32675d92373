//! `cargo xtask tidy`: the invariants of docs/architecture.md that a program can check.
mod circles;
mod docs;
mod manifests;
mod places;
mod source;
mod sources;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use drgan_terminal::result;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What is wrong, where, and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// One file, relative to the root; `text` is empty for what is not UTF-8.
struct File {
    path: PathBuf,
    bytes: u64,
    text: String,
}

impl File {
    fn at(&self, line: usize, what: impl Into<String>) -> Violation {
        Violation { file: self.path.clone(), line, what: what.into() }
    }

    fn is(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|e| e == extension)
    }

    /// `drgan-sdm` for crates/drgan-sdm/....
    fn member(&self) -> Option<&str> {
        let mut parts = self.path.iter().map(|p| p.to_str().unwrap_or_default());
        (parts.next() == Some("crates")).then(|| parts.next()).flatten()
    }

    /// The path below the package's folder, in parts: `["src", "lib.rs"]`.
    fn inside(&self) -> Vec<&str> {
        let package = if self.member().is_some() { 2 } else { 1 };
        self.path.iter().skip(package).filter_map(|p| p.to_str()).collect()
    }

    /// Whether the file holds tests only.
    fn is_test(&self) -> bool {
        let inside = self.inside();
        inside.iter().any(|part| matches!(*part, "tests" | "tests.rs"))
    }
}

/// Every file that belongs to the project.
struct Tree {
    files: Vec<File>,
}

impl Tree {
    fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for path in list(root)? {
            let full = root.join(&path);
            // A file removed but not yet committed is still listed.
            let Ok(meta) = std::fs::metadata(&full) else { continue };
            let raw = std::fs::read(&full).with_context(|| format!("could not read {}", full.display()))?;
            files.push(File { path, bytes: meta.len(), text: String::from_utf8(raw).unwrap_or_default() });
        }
        Ok(Self { files })
    }

    fn get(&self, path: impl AsRef<Path>) -> Option<&File> {
        self.files.iter().find(|f| f.path == path.as_ref())
    }

    fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|f| f.is("rs"))
    }
}

/// What git tracks or would, or every file where there is no repository.
fn list(root: &Path) -> Result<Vec<PathBuf>> {
    if root.join(".git").exists() {
        let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let out = Command::new("git").args(args).current_dir(root).output().context("could not start git")?;
        anyhow::ensure!(out.status.success(), "git ls-files failed in {}", root.display());
        let names = String::from_utf8_lossy(&out.stdout).into_owned();
        return Ok(names.split('\0').filter(|n| !n.is_empty()).map(PathBuf::from).collect());
    }
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        let full = root.join(&folder);
        for entry in std::fs::read_dir(&full).with_context(|| format!("could not read {}", full.display()))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if !entry.file_type()?.is_dir() {
                found.push(path);
            } else if entry.file_name() != "target" {
                folders.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn check(root: &Path) -> Result<Vec<Violation>> {
    let tree = Tree::read(root)?;
    let mut found = manifests::check(&tree);
    found.extend(sources::check(&tree));
    found.extend(places::check(&tree));
    found.extend(docs::check(&tree));
    found.extend(circles::check(&tree));
    found.sort();
    Ok(found)
}

/// Prints every violation under `root`; fails if there is one.
pub(crate) fn run(root: &Path) -> Result<ExitCode> {
    let found = check(root)?;
    if found.is_empty() {
        result("tidy: nothing to do")?;
        return Ok(ExitCode::SUCCESS);
    }
    let lines: String = found.iter().map(|violation| format!("{violation}\n")).collect();
    result(format!("{lines}tidy: {} to fix", found.len()))?;
    Ok(ExitCode::FAILURE)
}
