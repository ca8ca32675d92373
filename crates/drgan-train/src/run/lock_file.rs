//! The file `run.lock`: locked by the process that writes into a run's folder, whose number it holds.
use super::dir::LOCK;
use crate::error::TrainError;
use drgan_tensor::{Error, file};
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often, and how long between, it is looked for the number of a process that has only just locked the file.
const LOOKS: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(10);

/// A file that was locked. If it was made for that, it is removed again unless it is kept.
pub(super) struct Taken {
    // Dropped first, while the file is locked.
    made: Made,
    file: File,
}

/// The file that was made, to be removed.
struct Made(Option<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // An empty lock that stays is harmless.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Taken {
    /// The file, which is locked until this is dropped.
    pub(super) fn keep(mut self) -> File {
        self.made.0 = None;
        self.file
    }
}

/// Locks the file and writes this process's number into it. None: another process has locked it.
///
/// # Errors
/// [`Error::File`]: something else stands there; the file cannot be made, locked or written.
pub(super) fn take(path: &Path) -> Result<Option<Taken>, TrainError> {
    let bad = |e: std::io::Error| Error::file_because(path, "cannot be locked", e);
    let existing = || File::options().read(true).write(true).to_owned();
    loop {
        let target = file::target(path)?;
        let (file, mut made) = match existing().create_new(true).open(&target) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => match existing().open(&target) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                opened => (opened.map_err(bad)?, Made(None)),
            },
            opened => (opened.map_err(bad)?, Made(Some(target.clone()))),
        };
        match file.try_lock() {
            Ok(()) => {}
            // A file system without locks.
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(bad(e).into()),
            Err(TryLockError::WouldBlock) => {
                made.0 = None;
                return Ok(None);
            }
        }
        if !same_file(&file, &target) {
            // Whoever had locked it has removed it.
            made.0 = None;
            continue;
        }
        // As wide as any number, so that nothing is left of another one, and in one piece.
        (&file).write_all(format!("{:<10}\n", std::process::id()).as_bytes()).map_err(bad)?;
        return Ok(Some(Taken { made, file }));
    }
}

/// A folder in the hands of one process, until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct LockedFolder {
    _lock: File,
}

impl LockedFolder {
    /// Locks a folder that is there, as a run's is: by its file `run.lock`.
    ///
    /// # Errors
    /// [`TrainError::RunInUse`]: another process has locked it. The file cannot be made, locked or written.
    pub fn lock(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(LOCK);
        match take(&path)? {
            Some(taken) => Ok(Self { _lock: taken.keep() }),
            None => Err(TrainError::RunInUse { path: folder.to_owned(), pid: number(&path) }),
        }
    }
}

/// Whether another process has locked the file, and its number as far as it can be told.
pub(super) fn holder(path: &Path) -> Option<Option<u32>> {
    let open = file::open(path).ok()?;
    matches!(open.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| number(path))
}

/// The number of the process that has locked the file, which may be about to write it: until then that of an earlier one may stand
/// there.
pub(super) fn number(path: &Path) -> Option<u32> {
    let mut last = None;
    for _ in 0..LOOKS {
        let mut text = String::new();
        let read = file::open(path).ok().and_then(|file| file.take(32).read_to_string(&mut text).ok());
        last = read.and_then(|_| text.trim().parse().ok());
        if last.is_some_and(is_alive) {
            break;
        }
        std::thread::sleep(BETWEEN);
    }
    last
}

/// Whether a process of this number runs; true where the system does not tell.
fn is_alive(number: u32) -> bool {
    let all = Path::new("/proc");
    !all.join("self").exists() || all.join(number.to_string()).exists()
}

/// Whether an open file is the one that now lies at `path`.
#[cfg(unix)]
pub(super) fn same_file(open: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |meta: std::io::Result<std::fs::Metadata>| meta.map(|m| (m.dev(), m.ino())).ok();
    let open = id(open.metadata());
    open.is_some() && open == id(std::fs::metadata(path))
}

/// Whether a file lies at `path`: elsewhere one that is open cannot be removed.
#[cfg(not(unix))]
pub(super) fn same_file(_: &File, path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_made_for_a_lock_is_removed_unless_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.lock");
        drop(take(&path).unwrap().unwrap());
        assert!(!path.exists());
        let held = take(&path).unwrap().unwrap().keep();
        assert!(take(&path).unwrap().is_none() && path.exists());
        assert_eq!(holder(&path), Some(Some(std::process::id())));
        drop(held);
        assert_eq!(holder(&path), None);
        std::fs::write(&path, "4294967295").unwrap();
        drop(take(&path).unwrap().unwrap());
        let text = std::fs::read_to_string(&path).expect("one that was there stays");
        assert_eq!(text.trim(), std::process::id().to_string());
    }

    #[test]
    fn a_folder_is_locked_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let held = LockedFolder::lock(dir.path()).unwrap();
        let said = LockedFolder::lock(dir.path()).unwrap_err().to_string();
        assert!(said.contains(&format!("in use by process {}", std::process::id())), "{said}");
        drop(held);
        LockedFolder::lock(dir.path()).unwrap();
    }

    #[test]
    fn a_number_that_is_not_yet_written_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.lock");
        // No process has the number of an earlier holder any more.
        for before in ["", "4294967295\n"] {
            std::fs::write(&path, before).unwrap();
            let writer = || std::fs::write(&path, std::process::id().to_string()).unwrap();
            let found = std::thread::scope(|scope| {
                scope.spawn(writer);
                number(&path)
            });
            if cfg!(target_os = "linux") || before.is_empty() {
                assert_eq!(found, Some(std::process::id()), "{before}");
            }
        }
    }
}
