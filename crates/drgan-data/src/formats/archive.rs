//! What a file is by its first bytes, whatever its name: a tar, plain or compressed, another archive, a picture.
use super::entries;
use super::files;
use crate::compression::Compression;
use crate::error::DataError;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

/// First bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Bytes that a compressed tar may always unpack to.
const UNPACKED: u64 = 1 << 30;
/// Times its size that a compressed tar may unpack to, beyond [`UNPACKED`]: pictures are compressed already.
const RATIO: u64 = 20;

/// The first block of a file, or what there is of it.
fn first_bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let mut first = Vec::new();
    let read = files::open(path).and_then(|file| file.take(512).read_to_end(&mut first));
    read.map_err(DataError::io(path))?;
    Ok(first)
}

/// Whether the file's first bytes are gzip's.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn is_gzip(path: &Path) -> Result<bool, DataError> {
    let first = first_bytes(path)?;
    Ok(first.starts_with(&GZIP) && !entries::begins_a_tar(&first))
}

/// Refuses a file that is another archive than those that are read, or a picture.
///
/// # Errors
/// [`DataError::Compressed`], [`DataError::Picture`]; a file that cannot be read.
pub(super) fn check(path: &Path) -> Result<(), DataError> {
    let first = first_bytes(path)?;
    // A tar begins with a name, which may be `BMW/1.png`.
    if entries::begins_a_tar(&first) {
        return Ok(());
    }
    if let Some(compression) = Compression::of(&first) {
        return Err(DataError::Compressed { path: path.to_owned(), compression });
    }
    match image::guess_format(&first) {
        Ok(_) => Err(DataError::Picture { path: path.to_owned() }),
        Err(_) => Ok(()),
    }
}

/// The tar inside a gzip file, in a temporary file without a name, which is gone when it is closed.
///
/// # Errors
/// No tar inside; damaged data; more than 1 GiB and 20 times the file's size; no room for temporary files.
pub(super) fn unpack(path: &Path) -> Result<std::fs::File, DataError> {
    let packed = files::open(path).map_err(DataError::io(path))?;
    let limit = packed.metadata().map_err(DataError::io(path))?.len().saturating_mul(RATIO).max(UNPACKED);
    let mut inside = flate2::read::MultiGzDecoder::new(BufReader::with_capacity(1 << 16, packed));
    let temporary = std::env::temp_dir();
    let mut unpacked = tempfile::tempfile().map_err(DataError::io(&temporary))?;
    let mut buffer = vec![0; 1 << 16];
    let mut length = 0;
    loop {
        let damaged = |e: std::io::Error| {
            let reason = format!("damaged or cut off ({e}); copy or make the archive again");
            DataError::metadata(path.display(), "gzip", reason).because(e)
        };
        let read = match inside.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(damaged(e)),
        };
        if length == 0 && read >= 512 && !entries::begins_a_tar(&buffer[..512]) && buffer[..512] != [0; 512] {
            let source = std::io::Error::other("compressed by gzip, but no tar inside");
            return Err(DataError::NotATar { path: path.display().to_string(), source });
        }
        length += read as u64;
        if length > limit {
            let reason = format!("unpacks to more than {} MiB; unpack it and give the folder", limit >> 20);
            return Err(DataError::metadata(path.display(), "gzip", reason));
        }
        std::io::Write::write_all(&mut unpacked, &buffer[..read]).map_err(DataError::io(&temporary))?;
    }
    unpacked.rewind().map_err(DataError::io(&temporary))?;
    Ok(unpacked)
}
