//! WebDataset tars: the index of entries, captions read, pictures left where they are.
use super::folder;
use crate::DataError;
use crate::dataset::{Found, Place};
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

/// Extensions that hold a picture.
pub(crate) const PICTURES: [&str; 4] = ["webp", "png", "jpg", "jpeg"];

/// What WebDataset keeps under one key.
#[derive(Default)]
struct Sample {
    picture: Option<(String, Place)>,
    captions: Option<(String, Vec<u8>)>,
    json: Option<(String, Vec<u8>)>,
}

/// Reads the index of a tar of `length` bytes; `path` is for messages.
pub(crate) fn index<R: Read + Seek>(reader: R, length: u64, path: &str) -> Result<Vec<Found>, DataError> {
    let not_a_tar = |e: std::io::Error| DataError::NotATar { path: path.to_owned(), reason: e.to_string() };
    let mut archive = tar::Archive::new(reader);
    let mut samples: BTreeMap<String, Sample> = BTreeMap::new();
    let (mut last, mut end) = (String::from("(none)"), 0);
    let truncated = |entry: &str| DataError::Truncated { path: path.to_owned(), entry: entry.to_owned() };
    for entry in archive.entries_with_seek().map_err(not_a_tar)? {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(_) if end > 0 => return Err(truncated(&last)),
            Err(e) => return Err(not_a_tar(e)),
        };
        let name = entry.path().map_err(not_a_tar)?.to_string_lossy().into_owned();
        let place = Place::Tar { offset: entry.raw_file_position(), size: entry.size() };
        end = entry.raw_file_position() + entry.size().next_multiple_of(512);
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
        if PICTURES.contains(&extension.as_str()) {
            sample.picture = Some((name, place));
        } else if extension == "txt" || extension == "json" {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(|_| truncated(&name))?;
            *(if extension == "txt" { &mut sample.captions } else { &mut sample.json }) = Some((name, bytes));
        }
    }
    // The format ends with two blocks of zeros; without any, the rest was cut off.
    if length < end + 512 {
        return Err(if end == 0 {
            DataError::NotATar { path: path.to_owned(), reason: "no entries and no end marker".to_owned() }
        } else {
            truncated(&last)
        });
    }
    let mut found = Vec::new();
    for (key, sample) in samples {
        let Some((name, place)) = sample.picture else { continue };
        let captions = match sample.captions {
            Some((entry, bytes)) => folder::captions(path, &entry, bytes)?,
            None => {
                let reason = format!("no {key}.txt");
                return Err(DataError::Caption { path: path.to_owned(), entry: name, reason });
            }
        };
        let json = match sample.json {
            Some((entry, bytes)) => folder::description(path, &entry, &bytes)?,
            None => folder::Description::default(),
        };
        found.push(Found { key, name, place, captions, description: json, part: None, bird: None });
    }
    Ok(found)
}

/// The bytes of an entry.
pub(crate) fn read<R: Read + Seek>(mut reader: R, offset: u64, size: u64) -> std::io::Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    reader.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}
