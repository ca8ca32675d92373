//! Whole files: read with a bound on their size, written whole or not at all.
use crate::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The bytes of a regular file. A folder, pipe or device is refused: it has no size that bounds it, and may never end.
///
/// # Errors
/// [`Error::File`] that names the file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let bad = |e: std::io::Error| Error::file_because(path, "cannot be read", e);
    let meta = std::fs::metadata(path).map_err(bad)?;
    match meta {
        _ if meta.is_dir() => Err(Error::file(path, "is a folder; give a file in it")),
        _ if !meta.is_file() => Err(Error::file(path, "is a pipe or device; give a regular file")),
        _ => std::fs::read(path).map_err(bad),
    }
}

/// Writes a file under a temporary name (`path` with `.partial` added), syncs it and renames it: a reader sees the old file
/// or the new one, never half of one.
///
/// # Errors
/// [`Error::File`] that names the file; what was there before is untouched, and the temporary file is removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic_through(path, bytes, |f| f)
}

/// [`write_atomic`] through a writer that `wrap` puts around the file: tests simulate a full disk with it.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_atomic_through<'f, W: Write + 'f>(
    path: &Path,
    bytes: &[u8],
    wrap: impl FnOnce(std::fs::File) -> W,
) -> Result<()> {
    let partial = PathBuf::from(format!("{}.partial", path.display()));
    let written = (|| {
        let file = std::fs::File::create(&partial)?;
        let handle = file.try_clone()?;
        let mut out = wrap(file);
        out.write_all(bytes)?;
        out.flush()?;
        handle.sync_all()?;
        std::fs::rename(&partial, path)
    })();
    written.map_err(|e| {
        // The first error is the one to tell; a partial file that cannot be removed is harmless.
        let _ = std::fs::remove_file(&partial);
        Error::file_because(path, "cannot be written", e)
    })
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
            assert_eq!(cause.map(std::io::Error::kind), Some(std::io::ErrorKind::NotFound));
        }
    }
}
