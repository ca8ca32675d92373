//! The folder of one run: `config.toml`, `checkpoints/`, `samples/`, `log.jsonl`, `tokenizer.json`.
use crate::error::TrainError;
use std::path::{Path, PathBuf};

/// The folder of a run, with the places of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// Makes `out`, or the first free `runs/PRESET-sSEED-NNN`.
    ///
    /// # Errors
    /// `out` is not empty or cannot be made.
    pub fn create(out: Option<&Path>, preset: &str, seed: u64) -> Result<Self, TrainError> {
        let dir = match out {
            Some(p) => p.to_owned(),
            None => (1..)
                .map(|i| Path::new("runs").join(format!("{preset}-s{seed}-{i:03}")))
                .find(|p| !p.exists())
                .unwrap_or_default(),
        };
        if std::fs::read_dir(&dir).is_ok_and(|mut d| d.next().is_some()) {
            return Err(TrainError::RunExists { path: dir });
        }
        for sub in ["checkpoints", "samples"] {
            let p = dir.join(sub);
            std::fs::create_dir_all(&p)
                .map_err(|e| drgan_tensor::Error::file_because(&p, "cannot be created", e))?;
        }
        Ok(Self(dir))
    }

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

    /// The run under `root` whose configuration is newest.
    ///
    /// # Errors
    /// [`TrainError::NoRuns`].
    pub fn latest(root: &Path) -> Result<Self, TrainError> {
        let newest = runs(root)
            .into_iter()
            .max_by_key(|p| std::fs::metadata(p.join("config.toml")).and_then(|m| m.modified()).ok());
        newest.map(Self).ok_or_else(|| TrainError::NoRuns { root: root.to_owned() })
    }

    /// The run's folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
    /// `config.toml`: the run's settings.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
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
}

fn runs(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path());
    let mut found: Vec<_> = entries.filter(|p| p.join("config.toml").is_file()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_made_found_and_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        assert!(RunDir::latest(root.path()).is_err());
        let a = RunDir::create(Some(&root.path().join("a")), "p", 1).unwrap();
        let e = RunDir::create(Some(a.path()), "p", 1).unwrap_err().to_string();
        assert!(e.contains("not empty") && e.contains("resume"), "{e}");
        assert!(RunDir::open(a.path()).unwrap_err().to_string().contains("config.toml"));
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let e = RunDir::create(Some(&file.join("run")), "p", 1).unwrap_err().to_string();
        assert!(e.contains("file/run/checkpoints: cannot be created: "), "{e}");
        std::fs::write(a.config(), "").unwrap();
        assert_eq!(RunDir::open(a.path()).unwrap(), a);
        assert_eq!(RunDir::latest(root.path()).unwrap(), a);
        let e = RunDir::open(&root.path().join("b")).unwrap_err().to_string();
        assert!(e.contains("/a"), "{e}");
    }
}
