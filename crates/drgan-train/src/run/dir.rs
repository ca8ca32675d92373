//! The folder of one run: `config.toml`, `checkpoints/`, `samples/`, `log.jsonl`, `tokenizer.json`.
use crate::error::TrainError;
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.toml";
pub(super) const LOCK: &str = "run.lock";

/// The folder of a run, with the places of its files. Whoever writes there holds it as a [`LockedRun`](super::LockedRun).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir(pub(super) PathBuf);

impl RunDir {
    /// Opens the folder of an existing run.
    ///
    /// # Errors
    /// [`TrainError::NotARun`], with the runs beside it.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let this = Self(path.to_owned());
        if this.config().is_file() {
            return Ok(this);
        }
        Err(TrainError::NotARun { path: path.to_owned(), nearby: runs(path.parent().unwrap_or(path)) })
    }

    /// The runs under `root`, the one that was begun or continued last first.
    pub fn newest_first(root: &Path) -> Vec<Self> {
        let mut found = runs(root);
        let begun = |p: &PathBuf| std::fs::metadata(p.join(CONFIG)).and_then(|m| m.modified()).ok();
        found.sort_by_cached_key(|p| std::cmp::Reverse((begun(p), p.clone())));
        found.into_iter().map(Self).collect()
    }

    /// The run's folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
    /// `config.toml`: the run's settings.
    pub fn config(&self) -> PathBuf {
        self.0.join(CONFIG)
    }
    /// `checkpoints/`: the run's checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }
    /// `samples/`: the grids drawn during training.
    pub fn samples(&self) -> PathBuf {
        self.0.join("samples")
    }
    /// `log.jsonl`: the run's events, one per line.
    pub fn log(&self) -> PathBuf {
        self.0.join("log.jsonl")
    }
    /// `evaluation.json`: the metrics of the trained generator.
    pub fn evaluation(&self) -> PathBuf {
        self.0.join("evaluation.json")
    }
    /// `backbone.safetensors`: the image backbone, where it came from a file.
    pub fn backbone(&self) -> PathBuf {
        self.0.join("backbone.safetensors")
    }
    /// `encoders.safetensors`: both trained encoders, for other runs.
    pub fn encoders(&self) -> PathBuf {
        self.0.join("encoders.safetensors")
    }
    /// `tokenizer.json`: the vocabulary of the text encoder.
    pub fn tokenizer(&self) -> PathBuf {
        self.0.join("tokenizer.json")
    }
    /// `fingerprint.json`: what data and vocabulary the run was begun with.
    pub fn fingerprint(&self) -> PathBuf {
        self.0.join("fingerprint.json")
    }
    /// `run.lock`: locked by the process that writes into the folder, whose number it holds.
    pub fn lock_file(&self) -> PathBuf {
        self.0.join(LOCK)
    }

    /// The files that a run may have in its folder, without the lock.
    pub(super) fn files(&self) -> [PathBuf; 7] {
        [
            self.config(),
            self.tokenizer(),
            self.fingerprint(),
            self.log(),
            self.evaluation(),
            self.backbone(),
            self.encoders(),
        ]
    }

    /// The folders that a run has in its folder.
    pub(super) fn folders(&self) -> [PathBuf; 2] {
        [self.checkpoints(), self.samples()]
    }
}

fn runs(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path());
    let mut found: Vec<_> = entries.filter(|p| p.join(CONFIG).is_file()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_the_newest_first() {
        let root = tempfile::tempdir().unwrap();
        assert!(RunDir::newest_first(root.path()).is_empty());
        let now = std::time::SystemTime::now();
        for (name, age) in [("b", 10), ("a", 5), ("c", 20), ("no-run", 0)] {
            let run = RunDir(root.path().join(name));
            std::fs::create_dir(run.path()).unwrap();
            if name != "no-run" {
                let config = std::fs::File::create(run.config()).unwrap();
                config.set_modified(now - std::time::Duration::from_secs(age)).unwrap();
            }
        }
        let found = RunDir::newest_first(root.path());
        let names: Vec<_> = found.iter().map(|run| run.path().file_name().unwrap()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(RunDir::open(found[0].path()).unwrap(), found[0]);
        let e = RunDir::open(&root.path().join("no-run")).unwrap_err().to_string();
        assert!(e.contains("config.toml") && e.contains("/a"), "{e}");
    }
}
