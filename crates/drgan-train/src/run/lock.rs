//! A run's folder in the hands of the one process that may write there.
use super::checkpoint::Checkpoint;
use super::checkpoints::list;
use super::dir::{LOCK, RunDir};
use super::lock_file::{self, same_file};
use crate::error::TrainError;
use drgan_tensor::{Error, file};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where runs lie whose folder nobody named.
const RUNS: &str = "runs";

/// The folder of a run, locked: no other process trains in it until this is dropped or the process ends, however it ends.
///
/// A folder that was made for a new run is removed again when this is dropped before [`LockedRun::keep`]: a run that is refused
/// leaves nothing behind.
#[derive(Debug)]
pub struct LockedRun {
    dir: RunDir,
    lock: File,
    /// The log, once it was opened.
    log: OnceLock<File>,
    /// For a new run: what was made for it.
    made: Option<Made>,
    kept: AtomicBool,
}

/// The folders that a new run made: its own, if that was not there, and those above it. Those that are still empty are removed.
#[derive(Debug)]
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        // What is not empty or not ours stays.
        self.0.iter().for_each(|folder| drop(std::fs::remove_dir(folder)));
    }
}

impl Made {
    /// Makes a folder and those above it.
    fn new(path: &Path) -> Result<Self, TrainError> {
        let absent = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists());
        let made = Self(absent.map(Path::to_owned).collect());
        std::fs::create_dir_all(path).map_err(|e| Error::file_because(path, "cannot be created", e))?;
        Ok(made)
    }
}

impl std::ops::Deref for LockedRun {
    type Target = RunDir;

    fn deref(&self) -> &RunDir {
        &self.dir
    }
}

impl RunDir {
    /// Makes and locks `out`, or the first free `runs/PRESET-sSEED-NNN`.
    ///
    /// # Errors
    /// `out` is not empty, in use or cannot be made; nothing is left of it then.
    pub fn create(out: Option<&Path>, preset: &str, seed: u64) -> Result<LockedRun, TrainError> {
        if let Some(path) = out {
            return Self::claim(path);
        }
        let mut number = 1;
        loop {
            let path = Path::new(RUNS).join(format!("{preset}-s{seed}-{number:03}"));
            number += 1;
            match Self::claim(&path) {
                // Another process took it a moment ago.
                Err(TrainError::RunExists { .. } | TrainError::RunInUse { .. }) => {}
                claimed => return claimed,
            }
        }
    }

    fn claim(path: &Path) -> Result<LockedRun, TrainError> {
        let occupied = || TrainError::RunExists { path: path.to_owned() };
        if !is_free(path) {
            return Err(match lock_file::holder(&Self(path.to_owned()).lock_file()) {
                Some(pid) => TrainError::RunInUse { path: path.to_owned(), pid },
                None => occupied(),
            });
        }
        let made = Made::new(path)?;
        let mut run = Self(path.to_owned()).locked()?;
        // Another process may have begun and ended meanwhile.
        if !is_free(path) {
            return Err(occupied());
        }
        run.made = Some(made);
        run.make_folders()?;
        Ok(run)
    }

    /// Locks the folder of an existing run, to continue it.
    ///
    /// # Errors
    /// [`TrainError::RunInUse`]: another process works in it. One of its files is something else than a file.
    pub fn lock(self) -> Result<LockedRun, TrainError> {
        let run = self.locked()?;
        run.make_folders()?;
        Ok(run)
    }

    fn locked(self) -> Result<LockedRun, TrainError> {
        let path = self.lock_file();
        let Some(lock) = lock_file::take(&path)? else {
            return Err(TrainError::RunInUse { pid: lock_file::number(&path), path: self.0 });
        };
        for path in self.files() {
            file::target(&path)?;
        }
        std::iter::once(self.0.clone())
            .chain(self.folders())
            .for_each(|folder| file::remove_partials(&folder));
        Ok(LockedRun {
            dir: self,
            lock: lock.keep(),
            log: OnceLock::new(),
            made: None,
            kept: AtomicBool::new(false),
        })
    }
}

impl LockedRun {
    fn make_folders(&self) -> Result<(), TrainError> {
        for folder in self.dir.folders().iter().filter(|folder| !folder.is_dir()) {
            std::fs::create_dir(folder).map_err(|e| Error::file_because(folder, "cannot be created", e))?;
        }
        Ok(())
    }

    /// Lets a new run's folder stay, as there is something in it to continue or to look into.
    pub fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// Opens the log to append to; from then on it must stay where it is.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be opened.
    pub fn open_log(&self) -> Result<File, TrainError> {
        let path = self.dir.log();
        let bad = |e: std::io::Error| Error::file_because(&path, "cannot be opened", e);
        let log = File::options().create(true).append(true).open(&path).map_err(bad)?;
        let _ = self.log.set(log.try_clone().map_err(bad)?);
        Ok(log)
    }

    /// Writes a checkpoint of the run; its folder stays from then on.
    ///
    /// # Errors
    /// The folder was removed; the checkpoint cannot be written; the log was removed, once the checkpoint is written.
    pub fn save(&self, checkpoint: &Checkpoint, step: u64) -> Result<PathBuf, TrainError> {
        self.verify_folder()?;
        let path = checkpoint.save(&self.checkpoints(), step)?;
        self.keep();
        self.verify()?;
        Ok(path)
    }

    /// Checks that the folder is still the one that was locked, and the log the one that was opened.
    ///
    /// # Errors
    /// [`TrainError::RunGone`], [`TrainError::FileGone`].
    pub fn verify(&self) -> Result<(), TrainError> {
        self.verify_folder()?;
        match self.log.get() {
            Some(log) if !same_file(log, &self.dir.log()) => Err(self.gone(self.dir.log())),
            _ => Ok(()),
        }
    }

    /// Checks that what the run ends with is there: settings, vocabulary, log, and `files`.
    ///
    /// # Errors
    /// As [`LockedRun::verify`]; [`TrainError::FileGone`] names the first that is not there.
    pub fn verify_whole(&self, files: &[&Path]) -> Result<(), TrainError> {
        self.verify()?;
        let own = [self.config(), self.tokenizer()];
        let gone = own.iter().map(PathBuf::as_path).chain(files.iter().copied()).find(|path| !path.is_file());
        gone.map_or(Ok(()), |path| Err(self.gone(path.to_owned())))
    }

    fn gone(&self, path: PathBuf) -> TrainError {
        TrainError::FileGone { path, run: self.path().to_owned() }
    }

    /// Checks that the folder is still the one that was locked.
    ///
    /// # Errors
    /// [`TrainError::RunGone`].
    pub(crate) fn verify_folder(&self) -> Result<(), TrainError> {
        match same_file(&self.lock, &self.lock_file()) {
            true => Ok(()),
            false => Err(TrainError::RunGone { path: self.path().to_owned() }),
        }
    }
}

impl Drop for LockedRun {
    fn drop(&mut self) {
        // One that was written and could not be synced counts.
        let has_checkpoint = list(&self.checkpoints()).is_ok_and(|found| !found.is_empty());
        let kept = self.kept.load(Ordering::Relaxed) || has_checkpoint;
        if self.made.is_some() && !kept && self.verify_folder().is_ok() {
            let _ = std::fs::remove_file(self.lock_file());
            self.dir.files().iter().for_each(|file| drop(std::fs::remove_file(file)));
            self.dir.folders().iter().for_each(|folder| drop(std::fs::remove_dir(folder)));
        } else if let Some(made) = &mut self.made {
            made.0.clear();
        }
    }
}

/// Whether a new run may take a folder: it is not there, is empty, or holds only what a run leaves that was killed before it
/// wrote its settings.
fn is_free(path: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(path) else { return true };
    let run = RunDir(path.to_owned());
    entries.flatten().all(|entry| {
        let path = entry.path();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let is_empty = || std::fs::read_dir(&path).is_ok_and(|mut found| found.next().is_none());
        let is_begun_log = || path == run.log() && entry.metadata().is_ok_and(|meta| meta.len() == 0);
        match is_file {
            true => {
                entry.file_name() == LOCK
                    || is_begun_log()
                    || path.extension().is_some_and(|e| e == "partial")
            }
            false => run.folders().contains(&path) && is_empty(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    fn entries(dir: &Path) -> usize {
        std::fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_folder_is_locked_until_its_holder_is_gone_and_its_holder_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        let run = RunDir::create(Some(&path), "p", 1).unwrap();
        std::fs::write(run.config(), "").unwrap();
        let e = RunDir::open(&path).unwrap().lock().unwrap_err().to_string();
        assert!(e.contains("/a: ") && e.contains(&format!("process {}", std::process::id())), "{e}");
        run.keep();
        drop(run);
        let again = RunDir::open(&path).unwrap().lock().unwrap();
        assert!(RunDir::open(&path).unwrap().lock().is_err());
        drop(again);
        assert!(path.join("config.toml").is_file());
        let e = RunDir::create(Some(&path), "p", 1).unwrap_err().to_string();
        assert!(e.contains("not empty") && e.contains("resume"), "{e}");
    }

    #[test]
    fn a_new_run_that_is_given_up_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("runs/deep/a");
        let run = RunDir::create(Some(&path), "p", 1).unwrap();
        for file in run.files() {
            std::fs::write(file, "x").unwrap();
        }
        drop(run);
        assert_eq!(entries(root.path()), 0);
        // A folder that was there stays, and what is not the run's.
        std::fs::create_dir_all(&path).unwrap();
        drop(RunDir::create(Some(&path), "p", 1).unwrap());
        assert_eq!(entries(&path), 0);
        let run = RunDir::create(Some(&path), "p", 1).unwrap();
        std::fs::write(path.join("mine.txt"), "x").unwrap();
        drop(run);
        assert_eq!(entries(&path), 1);
        assert!(matches!(RunDir::create(Some(&path), "p", 1), Err(TrainError::RunExists { .. })));
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let e = RunDir::create(Some(&file.join("run")), "p", 1).unwrap_err().to_string();
        assert!(e.contains("file/run: cannot be created: "), "{e}");
    }

    #[test]
    fn a_folder_with_a_checkpoint_stays_and_one_of_a_killed_beginner_is_free() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        let run = RunDir::create(Some(&path), "p", 1).unwrap();
        run.save(&sample(1.), 3).unwrap();
        drop(run);
        assert!(path.join("checkpoints/step-000003.safetensors").is_file());
        let killed = root.path().join("b");
        std::fs::create_dir_all(killed.join("samples")).unwrap();
        std::fs::write(killed.join(LOCK), "1").unwrap();
        std::fs::write(killed.join(".drgan-1-0.partial"), "half").unwrap();
        std::fs::write(killed.join("log.jsonl"), "").unwrap();
        let run = RunDir::create(Some(&killed), "p", 1).unwrap();
        assert!(!killed.join(".drgan-1-0.partial").exists() && run.checkpoints().is_dir());
    }

    #[test]
    fn a_folder_that_was_removed_or_replaced_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        let run = RunDir::create(Some(&path), "p", 1).unwrap();
        run.keep();
        run.verify().unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        let e = run.save(&sample(1.), 3).unwrap_err().to_string();
        assert!(e.contains("/a: ") && e.contains("removed") && !path.exists(), "{e}");
        let _another = RunDir::create(Some(&path), "p", 1).unwrap();
        assert!(cfg!(not(unix)) || run.verify().is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_log_that_was_removed_or_replaced_is_noticed_once_the_checkpoint_is_written() {
        let root = tempfile::tempdir().unwrap();
        let other = root.path().join("other");
        let put: [fn(&Path, &Path); 4] = [
            |_, _| {},
            |log, _| std::fs::write(log, "").unwrap(),
            |log, _| std::fs::create_dir(log).unwrap(),
            |log, other| std::os::unix::fs::symlink(other, log).unwrap(),
        ];
        std::fs::write(&other, "").unwrap();
        for (number, put) in put.into_iter().enumerate() {
            let run = RunDir::create(Some(&root.path().join(number.to_string())), "p", 1).unwrap();
            run.open_log().unwrap();
            run.save(&sample(1.), 1).unwrap();
            std::fs::remove_file(run.log()).unwrap();
            put(&run.log(), &other);
            let e = run.save(&sample(1.), 2).unwrap_err().to_string();
            assert!(e.contains("log.jsonl: removed or replaced"), "{e}");
            assert!(run.checkpoints().join("step-000002.safetensors").is_file());
        }
        // One that was moved, with a link to it, is still the run's.
        let run = RunDir::create(Some(&root.path().join("linked")), "p", 1).unwrap();
        run.open_log().unwrap();
        std::fs::rename(run.log(), root.path().join("moved")).unwrap();
        std::os::unix::fs::symlink("../moved", run.log()).unwrap();
        run.save(&sample(1.), 1).unwrap();
    }

    #[test]
    fn what_a_run_ends_with_must_be_there() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(Some(&root.path().join("a")), "p", 1).unwrap();
        for file in run.files() {
            std::fs::write(file, "x").unwrap();
        }
        run.verify_whole(&[&run.encoders()]).unwrap();
        for file in [run.encoders(), run.tokenizer(), run.config()] {
            std::fs::remove_file(&file).unwrap();
            let e = run.verify_whole(&[&run.encoders()]).unwrap_err().to_string();
            assert!(e.contains(file.to_str().unwrap()) && e.contains("removed"), "{e}");
        }
    }

    #[test]
    fn a_folder_that_is_trained_in_is_in_use_for_a_new_run_too() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        let run = RunDir::create(Some(&path), "p", 1).unwrap();
        std::fs::write(run.config(), "").unwrap();
        let e = RunDir::create(Some(&path), "p", 1).unwrap_err().to_string();
        assert!(e.contains(&format!("in use by process {}", std::process::id())), "{e}");
        assert!(run.config().exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_in_place_of_one_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir(root.path().to_owned());
        std::fs::write(run.config(), "").unwrap();
        for place in [run.lock_file(), run.log(), run.tokenizer()] {
            assert!(std::process::Command::new("mkfifo").arg(&place).status().unwrap().success());
            let e = run.clone().lock().unwrap_err().to_string();
            assert!(e.contains(place.to_str().unwrap()) && e.contains("pipe"), "{e}");
            std::fs::remove_file(&place).unwrap();
        }
        std::fs::write(run.samples(), "").unwrap();
        let e = run.lock().unwrap_err().to_string();
        assert!(e.contains("samples: cannot be created"), "{e}");
    }
}
