//! Whole files: read with a bound on their size, written whole or not at all. Everything that this workspace's crates write
//! goes through [`write_atomic`], but for lines that are appended to a log.
#[cfg(any(test, feature = "testing"))]
use crate::testing::disk::{self, Fault};
use crate::{Error, Result};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The end of the names of files that are being written.
const PARTIAL: &str = "partial";

/// The bytes of a regular file. A folder, pipe or device is refused: it has no size that bounds it, and may never end.
///
/// # Errors
/// [`Error::File`] that names the file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = open(path)?.read_to_end(&mut bytes);
    read.map_err(|e| Error::file_because(path, "cannot be read", e))?;
    Ok(bytes)
}

/// Opens a regular file to read; what else there may be is refused before it is opened, as opening a pipe may wait forever.
///
/// # Errors
/// [`Error::File`] that names the file.
pub fn open(path: &Path) -> Result<File> {
    let bad = |e: std::io::Error| Error::file_because(path, "cannot be read", e);
    match std::fs::metadata(path).map_err(bad)? {
        meta if meta.is_dir() => Err(Error::file(path, "is a folder; give a file in it")),
        meta if !meta.is_file() => Err(Error::file(path, "is a pipe or device; give a regular file")),
        _ => File::open(path).map_err(bad),
    }
}

/// Writes a file under a temporary name in the same folder, syncs it and renames it: a reader sees the old file or the new
/// one, never half of one, and so does whoever looks after the power failed.
///
/// A symbolic link stays: the file that it leads to is replaced. Two writers of one file do not disturb each other; the last one's
/// file stays.
///
/// # Errors
/// [`Error::File`] that names the file: a folder, a pipe, a device, a socket or a link to nothing stands there, or what the
/// system reports. The old file is untouched then, unless only the folder could not be synced, and no temporary file is left.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let bad = |e: std::io::Error| Error::file_because(path, "cannot be written", e);
    let target = target(path)?;
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let (partial, file) = create_partial(folder).map_err(bad)?;
    let renamed = write_and_sync(&file, bytes).and_then(|()| {
        #[cfg(any(test, feature = "testing"))]
        disk::at(Fault::Rename)?;
        std::fs::rename(&partial, &target)
    });
    renamed.map_err(|e| {
        // The first error is the one to tell; a partial file that cannot be removed is harmless.
        let _ = std::fs::remove_file(&partial);
        bad(e)
    })?;
    sync_folder(folder).map_err(|e| Error::file_because(path, "is written, its folder cannot be synced", e))
}

/// The file that a write to `path` makes or replaces: where a symbolic link leads.
///
/// # Errors
/// [`Error::File`]: what stands there is no regular file, or a link to nothing.
pub fn target(path: &Path) -> Result<PathBuf> {
    let bad = |e: std::io::Error| Error::file_because(path, "cannot be written", e);
    let refused =
        |what: &str| Err(Error::file(path, format!("is {what}, which is not replaced; give another name")));
    let link = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta.is_symlink(),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(path.to_owned()),
        Err(e) => return Err(bad(e)),
    };
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() && link => std::fs::canonicalize(path).map_err(bad),
        Ok(meta) if meta.is_file() => Ok(path.to_owned()),
        Ok(meta) => refused(kind_of(&meta)),
        Err(e) if link && e.kind() == ErrorKind::NotFound => refused("a symbolic link to nothing"),
        Err(e) => Err(bad(e)),
    }
}

/// What stands at a place where a regular file was expected.
fn kind_of(meta: &Metadata) -> &'static str {
    if meta.is_dir() { "a folder" } else { "a pipe, device or socket" }
}

/// Removes what writers that were killed have left in a folder; what is being written stays.
pub fn remove_partials(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_partial = path.extension() == Some(OsStr::new(PARTIAL));
        // Its writer, if it lives, holds it locked.
        let abandoned = || File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if is_partial && entry.file_type().is_ok_and(|kind| kind.is_file()) && abandoned() {
            // One that cannot be removed is harmless.
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// A new file that no other writer has, of this process or another, and its name.
fn create_partial(folder: &Path) -> std::io::Result<(PathBuf, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    #[cfg(any(test, feature = "testing"))]
    disk::at(Fault::Create)?;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".drgan-{}-{number}.{PARTIAL}", std::process::id()));
        match File::options().write(true).create_new(true).open(&path) {
            // A process of the same number in another container, or one that was killed.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
            Ok(file) => {
                // Where files cannot be locked, it only looks abandoned.
                let _ = file.try_lock();
                return Ok((path, file));
            }
        }
    }
}

fn write_and_sync(file: &File, bytes: &[u8]) -> std::io::Result<()> {
    let mut out = file;
    #[cfg(any(test, feature = "testing"))]
    let mut out = disk::Faulty::new(&mut out);
    out.write_all(bytes)?;
    #[cfg(any(test, feature = "testing"))]
    disk::at(Fault::Sync)?;
    file.sync_all()
}

/// Makes a renamed file's name last.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    #[cfg(any(test, feature = "testing"))]
    disk::at(Fault::SyncFolder)?;
    // Elsewhere a folder cannot be opened, and some file systems do not sync one.
    match cfg!(unix).then(|| File::open(folder)?.sync_all()) {
        Some(Err(e)) if !matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn errors_name_the_file_and_keep_the_cause() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = dir.path().join("no/such/folder.safetensors");
        for e in [write_atomic(&nowhere, b"x").unwrap_err(), read(&nowhere).unwrap_err()] {
            assert!(e.to_string().contains("folder.safetensors"), "{e}");
            let cause = e.source().and_then(|s| s.downcast_ref::<std::io::Error>());
            assert_eq!(cause.map(std::io::Error::kind), Some(ErrorKind::NotFound));
        }
    }

    #[test]
    fn a_fault_at_any_step_leaves_a_whole_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        for fault in Fault::ALL {
            write_atomic(&path, b"old").unwrap();
            let (done, writes) = disk::failing(0, fault, || write_atomic(&path, b"new and longer"));
            let e = done.unwrap_err().to_string();
            assert!(e.contains("a.txt"), "{fault:?}: {e}");
            assert_eq!(writes, 1);
            let now = std::fs::read(&path).unwrap();
            let want: &[u8] = if fault == Fault::SyncFolder { b"new and longer" } else { b"old" };
            assert_eq!(now, want, "{fault:?}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{fault:?}");
        }
    }

    #[test]
    fn writers_of_one_file_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        std::thread::scope(|scope| {
            for byte in 0..8u8 {
                let path = &path;
                scope.spawn(move || (0..20).for_each(|_| write_atomic(path, &[byte; 5000]).unwrap()));
            }
        });
        let bytes = read(&path).unwrap();
        assert!(bytes.len() == 5000 && bytes.iter().all(|b| *b == bytes[0]));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_writer_left_is_removed_and_what_is_being_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (living, _locked) = create_partial(dir.path()).unwrap();
        let dead = [".drgan-1-0.partial", "step-000001.safetensors.partial"].map(|n| dir.path().join(n));
        dead.iter().for_each(|path| std::fs::write(path, "half").unwrap());
        remove_partials(dir.path());
        assert!(living.exists() && dead.iter().all(|path| !path.exists()));
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_replaced_and_links_stay() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("folder")).unwrap();
        let _listening = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        symlink("/dev/null", at("device")).unwrap();
        symlink("gone", at("dangling")).unwrap();
        for (name, what) in [
            ("folder", "a folder"),
            ("socket", "socket"),
            ("pipe", "a pipe"),
            ("device", "device"),
            ("dangling", "a symbolic link to nothing"),
        ] {
            let e = write_atomic(&at(name), b"x").unwrap_err().to_string();
            assert!(e.contains(name) && e.contains(what) && e.contains("another name"), "{e}");
        }
        assert!(read(&at("pipe")).unwrap_err().to_string().contains("pipe"));
        write_atomic(&at("folder/real"), b"old").unwrap();
        symlink("folder/real", at("link")).unwrap();
        write_atomic(&at("link"), b"new").unwrap();
        assert_eq!(std::fs::read(at("folder/real")).unwrap(), b"new");
        assert!(std::fs::symlink_metadata(at("link")).unwrap().is_symlink());
    }
}
