//! The folder of a run's checkpoints: which is the newest good one, and which are removed.
use super::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use drgan_tensor::internal::{escaped, shown};
use drgan_tensor::{Error, file};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file that names the checkpoint to continue from.
const LATEST: &str = "latest";

/// Bytes that a name in [`LATEST`] has at most.
const LONGEST_NAME: u64 = 256;

/// Tells what was passed over where a run continues from an earlier checkpoint, or from one that nothing names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Each file that cannot be used, and what is wrong with it; `latest`, where it names none, comes first.
    pub bad: Vec<(PathBuf, String)>,
    /// The checkpoint that was read in their place.
    pub used: PathBuf,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (path, reason) in &self.bad {
            write!(f, "{} is damaged ({}); ", shown(path), escaped(reason))?;
        }
        write!(f, "continuing from {}", shown(&self.used))
    }
}

impl Checkpoint {
    /// Writes `dir/step-000123.safetensors` and then `dir/latest`, each whole or not at all. `dir` must be there: a folder
    /// that was removed is not made again.
    ///
    /// # Errors
    /// [`Error::File`]; earlier checkpoints are untouched and no partial file is left.
    pub fn save(&self, dir: &Path, step: u64) -> Result<PathBuf> {
        let name = format!("step-{step:06}.safetensors");
        let path = dir.join(&name);
        file::write_atomic(&path, &self.to_bytes()?)?;
        file::write_atomic(&dir.join(LATEST), format!("{name}\n").as_bytes())?;
        Ok(path)
    }

    /// The newest good checkpoint: what `latest` names, else the others from the highest step down.
    ///
    /// # Errors
    /// [`Error::File`] when none can be read; the first failure is told. One that names `latest` where it is no regular file, too
    /// large for a name, or names something outside the folder.
    pub fn load_latest(dir: &Path) -> Result<(Self, Option<Warning>)> {
        Self::latest(dir, Self::load)
    }

    /// [`Checkpoint::load_latest`], of which only the tensors under some prefixes are read and verified.
    ///
    /// # Errors
    /// As [`Checkpoint::load_latest`].
    pub fn load_latest_part(dir: &Path, sections: &[&str]) -> Result<(Self, Option<Warning>)> {
        Self::latest(dir, |path| Self::load_part(path, sections))
    }

    fn latest(dir: &Path, read: impl Fn(&Path) -> Result<Self>) -> Result<(Self, Option<Warning>)> {
        let mut candidates: Vec<_> = list(dir)?.into_iter().rev().map(|(_, p)| p).collect();
        let mut bad = Vec::new();
        match named(dir)? {
            Named::Nothing => {}
            Named::Empty(latest) => bad.push((latest, "it is empty".to_owned())),
            Named::File(named) => {
                candidates.retain(|p| *p != named);
                candidates.insert(0, named);
            }
        }
        let mut first = None;
        for used in candidates {
            match read(&used) {
                Ok(c) => return Ok((c, (!bad.is_empty()).then_some(Warning { bad, used }))),
                Err(e) => {
                    let reason = reason_of(e);
                    first = first.or(Some((used.clone(), reason.clone())));
                    bad.push((used, reason));
                }
            }
        }
        Err(match first {
            Some((path, reason)) => Error::file(&path, format!("{reason}; no other checkpoint is usable")),
            None => Error::file(dir, "holds no checkpoint (step-*.safetensors)"),
        }
        .into())
    }
}

/// What `latest` says.
enum Named {
    /// There is no such file.
    Nothing,
    /// The file is there and names none: what a system that lost power may leave.
    Empty(PathBuf),
    /// A checkpoint of the folder, which may be there or not.
    File(PathBuf),
}

/// The checkpoint that `latest` names.
fn named(dir: &Path) -> Result<Named> {
    let path = dir.join(LATEST);
    if std::fs::symlink_metadata(&path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
        return Ok(Named::Nothing);
    }
    let refused = |what: String| {
        let done = "remove it: the newest good checkpoint is found without it";
        Error::file(&path, format!("{what}; {done}"))
    };
    let mut name = String::new();
    let open = file::open(&path).map_err(|e| refused(reason_of(e.into())))?;
    let read = open.take(LONGEST_NAME + 1).read_to_string(&mut name);
    read.map_err(|e| refused(format!("cannot be read: {e}")))?;
    match name.trim() {
        _ if name.len() as u64 > LONGEST_NAME => {
            Err(refused("is too large to name a checkpoint".into()).into())
        }
        "" => Ok(Named::Empty(path)),
        name if step_of(Path::new(name)).is_some() && Path::new(name).components().count() == 1 => {
            Ok(Named::File(dir.join(name)))
        }
        other => Err(refused(format!("names `{other}`, which is no checkpoint of this folder")).into()),
    }
}

/// What is wrong with a file, without its name.
fn reason_of(e: TrainError) -> String {
    match e {
        TrainError::Model(Error::File { reason, .. }) => reason,
        other => other.to_string(),
    }
}

/// The step in the name of a checkpoint.
fn step_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
}

/// The folder's checkpoints, ascending by step.
///
/// # Errors
/// [`Error::File`] when the folder cannot be listed.
pub fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = std::fs::read_dir(dir).map_err(|e| Error::file_because(dir, "cannot be listed", e))?;
    let mut found: Vec<_> = entries.flatten().filter_map(|e| Some((step_of(&e.path())?, e.path()))).collect();
    found.sort();
    Ok(found)
}

/// Removes old checkpoints of a run, and remembers which of the others are good.
#[derive(Debug, Default)]
pub(crate) struct Pruner {
    /// Those that were written or verified here.
    good: BTreeSet<PathBuf>,
}

impl Pruner {
    /// Leaves the checkpoint that was just written and the good ones before it, `keep` (at least one) in all. One that cannot be
    /// read is not counted, and stays where a good one of its age would. Those of later steps belong to a past that the run has
    /// left, and go first.
    ///
    /// # Errors
    /// [`Error::File`] for one that cannot be removed.
    pub(crate) fn prune(&mut self, dir: &Path, keep: usize, written: &Path) -> Result<()> {
        self.good.insert(written.to_owned());
        let now = step_of(written);
        // A folder of such a name is no checkpoint: reading passed it over, and it stays.
        let is_other = |path: &Path| path != written && path.is_file();
        let mut others: Vec<_> = list(dir)?.into_iter().filter(|(_, path)| is_other(path)).collect();
        others.sort_by_key(|(step, _)| (Some(*step) > now, std::cmp::Reverse(*step)));
        let mut kept = 1;
        for (_, path) in others {
            if kept >= keep {
                std::fs::remove_file(&path)
                    .map_err(|e| Error::file_because(&path, "cannot be removed", e))?;
                self.good.remove(&path);
            } else if self.good.contains(&path) || Checkpoint::verify(&path).is_ok() {
                self.good.insert(path);
                kept += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{first, sample};
    use super::*;
    use drgan_tensor::testing::disk::{self, Fault};

    fn steps(dir: &Path) -> Vec<u64> {
        list(dir).unwrap().into_iter().map(|(step, _)| step).collect()
    }

    #[test]
    fn a_disk_fault_leaves_the_earlier_checkpoint_and_nothing_else() -> Result<()> {
        for fault in Fault::ALL {
            let dir = tempfile::tempdir().unwrap();
            sample(1.).save(dir.path(), 1)?;
            for (write, at) in [(0, "step-000002.safetensors"), (1, "latest")] {
                let (done, _) = disk::failing(write, fault, || sample(2.).save(dir.path(), 2));
                let e = done.unwrap_err().to_string();
                assert!(e.contains(at), "{e}");
                let found = Checkpoint::load_latest(dir.path())?;
                assert!(found.1.is_none());
                // `latest` is written last: until then the earlier one is continued.
                let new = fault == Fault::SyncFolder && write == 1;
                assert_eq!(first(&found.0), if new { 2. } else { 1. }, "{fault:?} {write}");
            }
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "{fault:?}");
        }
        Ok(())
    }

    #[test]
    fn a_folder_that_is_gone_is_not_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let e = sample(1.).save(&gone, 1).unwrap_err().to_string();
        assert!(e.contains("step-000001") && !gone.exists(), "{e}");
    }

    #[test]
    fn pruning_keeps_the_newest_and_an_empty_folder_is_named() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        assert!(Checkpoint::load_latest(dir.path()).unwrap_err().to_string().contains("no checkpoint"));
        for step in [5, 1, 7] {
            sample(1.).save(dir.path(), step)?;
        }
        let written = sample(1.).save(dir.path(), 9)?;
        Pruner::default().prune(dir.path(), 2, &written)?;
        assert_eq!(steps(dir.path()), [7, 9]);
        Pruner::default().prune(dir.path(), 0, &written)?;
        assert_eq!(steps(dir.path()), [9]);
        Ok(())
    }

    #[test]
    fn what_cannot_be_read_is_not_counted_and_what_was_just_written_stays() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        for step in [20, 40, 60] {
            sample(step as f32).save(dir.path(), step)?;
        }
        let damage = |step: u64| {
            let path = dir.path().join(format!("step-{step:06}.safetensors"));
            let mut bytes = std::fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(&path, bytes).unwrap();
        };
        damage(60);
        // The run goes on from 40.
        let written = sample(50.).save(dir.path(), 50)?;
        Pruner::default().prune(dir.path(), 2, &written)?;
        assert_eq!(steps(dir.path()), [40, 50], "60 is damaged and of a past that was left");
        assert_eq!(first(&Checkpoint::load_latest(dir.path())?.0), 50.);
        damage(40);
        sample(30.).save(dir.path(), 30)?;
        Pruner::default().prune(dir.path(), 2, &written)?;
        assert_eq!(steps(dir.path()), [30, 40, 50], "30 is the second good one");
        Pruner::default().prune(dir.path(), 1, &written)?;
        assert_eq!(steps(dir.path()), [50]);
        Ok(())
    }

    #[test]
    fn latest_must_name_a_checkpoint_of_its_folder() -> Result<()> {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("checkpoints");
        std::fs::create_dir(&dir).unwrap();
        let good = sample(1.).save(&dir, 1)?;
        let outside = root.path().join("step-000002.safetensors");
        std::fs::copy(&good, &outside).unwrap();
        let latest = dir.join(LATEST);
        for (text, said) in [
            ("../step-000002.safetensors".to_owned(), "no checkpoint of this folder"),
            (outside.display().to_string(), "no checkpoint of this folder"),
            ("sub/step-000001.safetensors".to_owned(), "no checkpoint of this folder"),
            ("/dev/zero".to_owned(), "no checkpoint of this folder"),
            ("x".repeat(5000), "too large"),
        ] {
            std::fs::write(&latest, text).unwrap();
            let e = Checkpoint::load_latest(&dir).unwrap_err().to_string();
            assert!(e.contains("latest: ") && e.contains(said) && e.contains("remove it"), "{e}");
        }
        std::fs::remove_file(&latest).unwrap();
        std::fs::create_dir(&latest).unwrap();
        let e = Checkpoint::load_latest(&dir).unwrap_err().to_string();
        assert!(e.contains("is a folder") && e.contains("remove it"), "{e}");
        std::fs::remove_dir(&latest).unwrap();
        #[cfg(unix)]
        {
            assert!(std::process::Command::new("mkfifo").arg(&latest).status().unwrap().success());
            let e = Checkpoint::load_latest(&dir).unwrap_err().to_string();
            assert!(e.contains("pipe") && e.contains("remove it"), "{e}");
            std::fs::remove_file(&latest).unwrap();
        }
        // What a system that lost power may leave.
        for blank in ["", " \n"] {
            std::fs::write(&latest, blank).unwrap();
            let (found, warning) = Checkpoint::load_latest(&dir)?;
            let said = warning.unwrap().to_string();
            assert!(first(&found) == 1. && said.contains("latest is damaged (it is empty)"), "{said}");
            assert!(said.ends_with(&format!("continuing from {}", good.display())), "{said}");
        }
        std::fs::write(dir.join("step-000003.safetensors"), "no checkpoint").unwrap();
        let said = Checkpoint::load_latest(&dir)?.1.unwrap().to_string();
        assert!(said.contains("latest is damaged") && said.contains("3.safetensors is damaged"), "{said}");
        std::fs::remove_file(dir.join("step-000003.safetensors")).unwrap();
        std::fs::write(&latest, "step-000009.safetensors").unwrap();
        let (found, warning) = Checkpoint::load_latest(&dir)?;
        assert!(first(&found) == 1. && warning.unwrap().bad[0].0.ends_with("step-000009.safetensors"));
        Ok(())
    }
}
