//! WebDataset tars: the index of entries, captions read, images left where they are.
use super::format::{Entry, Format, Index};
use super::text::{self, Description};
use crate::error::DataError;
use crate::record::{Archive, Location};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;
use std::sync::Arc;

/// A tar of `KEY.png`, `KEY.txt` and optionally `KEY.json`, not compressed.
#[derive(Debug)]
pub(crate) struct WebDataset;

impl Format for WebDataset {
    fn name(&self) -> &'static str {
        "a WebDataset tar"
    }

    fn detect(&self, path: &Path) -> Result<bool, DataError> {
        Ok(path.is_file())
    }

    fn index(&self, path: &Path) -> Result<Index, DataError> {
        let file = std::fs::File::open(path).map_err(DataError::io(path))?;
        let length = file.metadata().map_err(DataError::io(path))?.len();
        let archive = Archive::File(path.into());
        index(BufReader::new(file), length, &path.display().to_string(), &archive)
    }
}

impl WebDataset {
    /// The index of a tar in memory; `name` is for messages.
    ///
    /// # Errors
    /// As [`Format::index`].
    pub(crate) fn of_bytes(name: &str, bytes: Cow<'static, [u8]>) -> Result<Index, DataError> {
        let bytes = Arc::new(bytes);
        let archive = Archive::Memory(Arc::clone(&bytes));
        index(Cursor::new(&**bytes), bytes.len() as u64, name, &archive)
    }
}

/// What WebDataset keeps under one key.
#[derive(Default)]
struct Sample {
    image: Option<(String, Location)>,
    captions: Option<(String, Vec<u8>)>,
    json: Option<(String, Vec<u8>)>,
}

/// Reads the index of a tar of `length` bytes, which images are later read from in `archive`; `path` is for messages.
fn index<R: Read + Seek>(reader: R, length: u64, path: &str, archive: &Archive) -> Result<Index, DataError> {
    let mut found = Vec::new();
    for (key, sample) in samples(reader, length, path, archive)? {
        let Some((name, location)) = sample.image else { continue };
        let Some((entry, bytes)) = sample.captions else {
            return Err(DataError::caption(path, name, format!("no {key}.txt")));
        };
        let captions = text::captions(path, &entry, bytes)?;
        let description = match sample.json {
            Some((entry, bytes)) => Description::read(path, &entry, &bytes)?,
            None => Description::default(),
        };
        found.push(Entry::new(description.record(key, captions), name, location));
    }
    Ok(found.into())
}

/// The entries of a tar by key.
fn samples<R: Read + Seek>(
    reader: R,
    length: u64,
    path: &str,
    archive: &Archive,
) -> Result<BTreeMap<String, Sample>, DataError> {
    let not_a_tar = |source: std::io::Error| DataError::NotATar { path: path.to_owned(), source };
    let mut tar = tar::Archive::new(reader);
    let mut samples: BTreeMap<String, Sample> = BTreeMap::new();
    let (mut last, mut end) = (String::from("(none)"), 0);
    let truncated = |entry: &str| DataError::Truncated { path: path.to_owned(), entry: entry.to_owned() };
    for entry in tar.entries_with_seek().map_err(not_a_tar)? {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(_) if end > 0 => return Err(truncated(&last)),
            Err(e) => return Err(not_a_tar(e)),
        };
        let name = entry.path().map_err(not_a_tar)?.to_string_lossy().into_owned();
        let (offset, size) = (entry.raw_file_position(), entry.size());
        end = offset + size.next_multiple_of(512);
        last.clone_from(&name);
        if end > length {
            return Err(truncated(&name));
        }
        let file = name.rsplit('/').next().unwrap_or(&name);
        if !entry.header().entry_type().is_file() || file.starts_with('.') {
            continue;
        }
        // WebDataset: the key ends at the first dot of the file name, folders included.
        let Some((stem, extension)) = file.split_once('.') else { continue };
        let key = format!("{}{stem}", &name[..name.len() - file.len()]);
        let extension = extension.to_ascii_lowercase();
        let sample = samples.entry(key).or_default();
        if text::is_image(&extension) {
            sample.image = Some((name, Location::Range { archive: archive.clone(), offset, size }));
        } else if extension == "txt" || extension == "json" {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(|_| truncated(&name))?;
            *(if extension == "txt" { &mut sample.captions } else { &mut sample.json }) = Some((name, bytes));
        }
    }
    // The format ends with two blocks of zeros; without any, the rest was cut off.
    if length < end + 512 {
        return Err(match end {
            0 => not_a_tar(std::io::Error::other("no entries and no end marker")),
            _ => truncated(&last),
        });
    }
    Ok(samples)
}
