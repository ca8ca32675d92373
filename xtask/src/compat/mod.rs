//! `cargo xtask compat`: whether a run that an older revision began continues with the same bits, and a new one has them too.
mod compare;

use crate::measure::markdown;
use crate::run;
use anyhow::{Context, Result, bail};
use clap::Args;
use compare::Network;
use drgan_terminal::{quoted, remark, result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The step at which runs are compared, and the one after which the old run is continued: both have a checkpoint in the
/// preset `tiny`.
const LAST: &str = "step-000006";
const PAUSE: &str = "step-000003";

/// Trains `tiny` with an older revision and with this one, and compares the checkpoints bit by bit.
///
/// The older revision trains six steps. This one resumes that run after the third step, and trains another from the start, by the
/// same recipe.
/// Exit status 1 if a tensor differs, or the step, the phase, a random stream's position or a measurement; a tensor's new name
/// alone is no difference.
#[derive(Args)]
pub(crate) struct Compat {
    /// The older revision: a tag, a branch or a commit. It is built in a work tree of its own, which takes minutes.
    #[arg(value_name = "REV", required_unless_present = "binary")]
    revision: Option<String>,
    /// An older `drgan` that is built already.
    #[arg(long, value_name = "FILE", conflicts_with = "revision")]
    binary: Option<PathBuf>,
}

impl Compat {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let new = run::build("drgan")?;
        let folder = run::target().join("compat");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let old = match (&self.binary, &self.revision) {
            (Some(binary), _) => binary.clone(),
            (None, Some(revision)) => built(revision, &folder)?,
            (None, None) => bail!("name a revision, or a binary with --binary"),
        };

        let runs = folder.join("runs");
        if runs.exists() {
            fs::remove_dir_all(&runs).with_context(|| runs.display().to_string())?;
        }
        fs::create_dir_all(&runs).with_context(|| runs.display().to_string())?;
        let [begun, resumed, fresh] = ["old", "resumed", "fresh"].map(|name| runs.join(name));
        let from_start = ["--preset", "tiny", "--no-evaluate", "--out"];
        train(&old, &from_start, &begun)?;
        pause(&begun, &resumed)?;
        train(&new, &["--no-evaluate", "--resume"], &resumed)?;
        let config = begun.join("config.toml");
        let config = fs::read_to_string(&config).with_context(|| config.display().to_string())?;
        let recipe = recipe(&config);
        train(&new, &[&["--set", &recipe], &from_start[..]].concat(), &fresh)?;

        let last = |run: &Path| {
            let path = run.join("checkpoints").join(LAST).with_extension("safetensors");
            fs::read(&path).with_context(|| format!("could not read {}", path.display()))
        };
        let old = last(&begun)?;
        let mut same = true;
        for (what, run) in [("resumed after step 3", &resumed), ("trained from the start", &fresh)] {
            let run = last(run)?;
            let (networks, notes) = (compare::compare(&old, &run)?, compare::notes_that_differ(&old, &run)?);
            let differ: String = notes.iter().map(|note| format!("differs: {note}\n")).collect();
            result(format!("{what}, step 6:\n\n{}\n{differ}", table(&networks)))?;
            same &= notes.is_empty() && networks.values().all(|n| n.differ.is_empty());
        }
        result(if same { "the same bits" } else { "not the same bits" })?;
        Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The setting of the recipe that a run's `config.toml` names; what names none was written before there were recipes.
fn recipe(config: &str) -> String {
    let of_run = config.lines().take_while(|line| !line.starts_with('['));
    let named = of_run.map(|line| line.replace(' ', "")).find(|line| line.starts_with("recipe="));
    named.unwrap_or_else(|| "recipe=1".to_owned())
}

/// The `drgan` of `revision`, from a work tree beside ours that is removed again; what cargo built is kept for a next time.
fn built(revision: &str, folder: &Path) -> Result<PathBuf> {
    let source = tempfile::tempdir().context("no temporary folder")?;
    let tree = source.path().join("source");
    git(&["worktree", "add", "--quiet", "--detach"], &tree, &[revision])?;
    let mut build = run::cargo();
    build.current_dir(&tree).env("CARGO_TARGET_DIR", folder.join("target"));
    let path = run::binary(build.args(["build", "--workspace", "--release", "--bin", "drgan"]), "drgan")
        .with_context(|| format!("revision {revision}"));
    git(&["worktree", "remove", "--force"], &tree, &[])?;
    path
}

/// `git BEFORE TREE AFTER` in this repository.
fn git(before: &[&str], tree: &Path, after: &[&str]) -> Result<()> {
    let mut git = Command::new("git");
    git.args(before).arg(tree).args(after).current_dir(run::root());
    if !git.status().context("could not start git")?.success() {
        bail!("`git {}` failed: see its message above", before.join(" "))
    }
    Ok(())
}

fn train(drgan: &Path, options: &[&str], run: &Path) -> Result<()> {
    let words = options.iter().map(quoted).chain([quoted(run)]).collect::<Vec<_>>().join(" ");
    remark(format!("{} train {words}", quoted(drgan)));
    let mut train = Command::new(drgan);
    train.arg("train").args(options).arg(run);
    let done = train.output().with_context(|| format!("could not start {}", drgan.display()))?;
    if !done.status.success() {
        bail!("it failed: {}", String::from_utf8_lossy(&done.stderr))
    }
    Ok(())
}

/// Copies a run as it was after the step [`PAUSE`].
fn pause(run: &Path, to: &Path) -> Result<()> {
    copy(run, to)?;
    let checkpoints = to.join("checkpoints");
    for entry in fs::read_dir(&checkpoints).with_context(|| checkpoints.display().to_string())? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default();
        if name.starts_with("step-") && name > PAUSE {
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let (path, to) = {
            let e = entry?;
            (e.path(), to.join(e.file_name()))
        };
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Names of a network's tensors that a table has room for.
const NAMED: usize = 3;

fn table(networks: &BTreeMap<String, Network>) -> String {
    let head = ["network", "tensors", "equal", "renamed", "differ"].map(str::to_owned).to_vec();
    let rows = networks.iter().map(|(name, n)| {
        let mut differ = n.differ.len().to_string();
        if !n.differ.is_empty() {
            let more = if n.differ.len() > NAMED { ", ..." } else { "" };
            let named = n.differ.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            differ = format!("{differ}: {named}{more}");
        }
        let numbers = [n.equal + n.differ.len(), n.equal, n.renamed].map(|count| count.to_string());
        [name.clone()].into_iter().chain(numbers).chain([differ]).collect()
    });
    markdown(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_run_has_no_later_checkpoint() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let run = dir.path().join("run");
        fs::create_dir_all(run.join("checkpoints"))?;
        for name in ["damsm-0001", PAUSE, LAST] {
            fs::write(run.join("checkpoints").join(name).with_extension("safetensors"), "")?;
        }
        fs::write(run.join("config.toml"), "x")?;
        let to = dir.path().join("to");
        pause(&run, &to)?;
        assert!(to.join("config.toml").exists());
        let left = |name: &str| to.join("checkpoints").join(name).with_extension("safetensors").exists();
        assert!(left("damsm-0001") && left(PAUSE) && !left(LAST));
        assert!(
            run.join("checkpoints").join(LAST).with_extension("safetensors").exists(),
            "the old run stays"
        );
        Ok(())
    }

    #[test]
    fn the_recipe_is_the_runs_own_or_the_first() {
        assert_eq!(recipe("preset = \"tiny\"\nrecipe = 2\n\n[train]\nsteps = 6\n"), "recipe=2");
        assert_eq!(recipe("preset = \"tiny\"\n[train]\nrecipe = 7\n"), "recipe=1");
    }

    #[test]
    fn a_table_counts_and_names() {
        let names = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let network = Network { equal: 5, renamed: 2, differ: names };
        let text = table(&BTreeMap::from([("g".to_owned(), network)]));
        let cells: Vec<_> = text.lines().last().unwrap_or_default().split('|').map(str::trim).collect();
        assert_eq!(cells, ["", "g", "9", "5", "2", "4: a, b, c, ...", ""]);
    }
}
