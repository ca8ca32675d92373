//! WebDataset tars: the index of entries, captions read, images left where they are.
use super::archive;
use super::description::{Description, Row};
use super::entries::{Content, Entries, Held, Names, TarEntry};
use super::files::{self, TEXT_BYTES};
use super::format::{Entry, Format, Index};
use super::links;
use super::metadata;
use super::names::{self, Kind};
use super::passed_over::{PassedOver, Reason};
use super::text;
use crate::error::DataError;
use crate::record::{Archive, Location};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Seek};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A tar of `KEY.png`, `KEY.txt` and optionally `KEY.json`, plain or compressed by gzip.
#[derive(Debug)]
pub(crate) struct WebDataset;

impl Format for WebDataset {
    fn name(&self) -> &'static str {
        "a WebDataset tar"
    }

    fn detect(&self, path: &Path) -> Result<bool, DataError> {
        Ok(path.is_file())
    }

    fn has_written_names(&self) -> bool {
        true
    }

    fn index(&self, path: &Path) -> Result<Index, DataError> {
        let shown = path.display().to_string();
        if archive::is_gzip(path)? {
            let file = Arc::new(Mutex::new(archive::unpack(path)?));
            let mut reader = file.lock().unwrap_or_else(PoisonError::into_inner);
            let length = reader.metadata().map_err(DataError::io(path))?.len();
            return index(&mut *reader, length, &shown, &Archive::Unpacked(Arc::clone(&file)));
        }
        let file = files::open(path).map_err(DataError::io(path))?;
        let length = file.metadata().map_err(DataError::io(path))?.len();
        index(file, length, &shown, &Archive::File(path.into()))
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

/// What is found under the same path without extension.
#[derive(Default)]
struct Sample {
    /// Names as the tar has them, with where their bytes are.
    pictures: Vec<(Vec<u8>, u64, u64)>,
    captions: Option<Held>,
    json: Option<Held>,
}

/// Reads the index of a tar of `length` bytes, which images are later read from in `archive`; `path` is for messages.
fn index<R: Read + Seek>(reader: R, length: u64, path: &str, archive: &Archive) -> Result<Index, DataError> {
    let mut passed = PassedOver::default();
    let mut tar = Entries::new(reader, length, path);
    let mut held = read_names(&mut tar, path, &mut passed)?;
    links::resolve(&mut held, &mut passed);
    let list = held.keys().find(|name| metadata::is_named_as_list(name)).map(|name| names::shown(name));
    let samples = samples(&mut tar, path, held, &mut passed)?;
    if let Some(at) = tar.rubbish {
        passed.add(Reason::Rubbish, format!("at byte {at}"));
    }
    let with_pictures: BTreeSet<Vec<u8>> = samples
        .iter()
        .filter(|(_, sample)| !sample.pictures.is_empty())
        .map(|(stem, _)| stem.clone())
        .collect();
    let (mut found, mut keys) = (Vec::new(), BTreeSet::new());
    for (stem, Sample { pictures, captions, json }) in samples {
        let mut pictures = pictures.into_iter();
        let Some((raw, offset, size)) = pictures.next() else {
            for alone in captions.into_iter().chain(json) {
                passed.add(Reason::NoPicture, names::shown(&alone.raw));
            }
            continue;
        };
        let (key, name) = (names::shown(&stem), names::shown(&raw));
        let first = names::first_stem(&stem);
        let Some(captions) = captions else {
            if let Some(list) = list {
                let reason =
                    "a list in a tar is not read; unpack the tar and give the folder that the list is in";
                return Err(DataError::metadata(path, list, reason));
            }
            if first == stem {
                return Err(DataError::caption(path, name, format!("no {key}.txt")));
            }
            // WebDataset's `000.seg.png` is a part `seg.png` of the sample `000`, whose picture is `000.png`.
            let reason =
                if with_pictures.contains(first) { Reason::SecondPicture } else { Reason::LongExtension };
            passed.add(reason, name);
            pictures.for_each(|(raw, ..)| passed.add(reason, names::shown(&raw)));
            continue;
        };
        pictures.for_each(|(raw, ..)| passed.add(Reason::SecondPicture, names::shown(&raw)));
        if !keys.insert(key.clone()) {
            passed.add(Reason::SameKey, name);
            continue;
        }
        let texts = text::captions(path, &names::shown(&captions.raw), captions.bytes.unwrap_or_default())?;
        let description = match json {
            Some(json) => description(path, &names::shown(&json.raw), &json.bytes.unwrap_or_default())?,
            None => Description::default(),
        };
        let location = Location::Range { archive: archive.clone(), offset, size };
        found.push(Entry::new(description.record(key, texts), name, location));
    }
    found.sort_by(|a, b| a.record.key.cmp(&b.record.key));
    Ok(Index { entries: found, passed, ..Index::default() })
}

/// What `KEY.json` says; `path` and `entry` are for messages.
fn description(path: &str, entry: &str, json: &[u8]) -> Result<Description, DataError> {
    let mut row = Row::of_json(json).map_err(|e| {
        DataError::metadata(path, entry, format!("not a JSON object such as {{\"class_id\": 3}}: {e}"))
            .because(e)
    })?;
    Description::take(&mut row).map_err(|reason| DataError::metadata(path, entry, reason))
}

/// Everything that the tar holds under a name; of two entries of one name the later counts, as when it is unpacked.
fn read_names<R: Read + Seek>(
    tar: &mut Entries<'_, R>,
    path: &str,
    passed: &mut PassedOver,
) -> Result<Names, DataError> {
    let mut held = Names::new();
    while let Some(TarEntry { name: raw, content }) = tar.next()? {
        let normal = names::normal(&raw).unwrap_or_else(|| raw.clone());
        let kind = Kind::of(names::stem(&normal).1);
        match (&content, kind) {
            (Content::Nothing, _) => continue,
            _ if names::is_hidden(&normal) => passed.add(Reason::Hidden, names::shown(&raw)),
            (_, Kind::Other) => passed.add(Reason::Other, names::shown(&raw)),
            (_, Kind::OtherPicture) => passed.add(Reason::PictureType, names::shown(&raw)),
            (Content::NotAFile, _) => passed.add(Reason::NotAFile, names::shown(&raw)),
            (Content::Sparse, _) => passed.add(Reason::Sparse, names::shown(&raw)),
            _ => {}
        }
        let text = matches!(kind, Kind::Text | Kind::Json) && !names::is_hidden(&normal);
        let bytes = match content {
            Content::Bytes { offset, size } if text => Some(bytes(tar, path, &raw, (offset, size))?),
            _ => None,
        };
        if let Some(earlier) = held.insert(normal, Held { raw, content, bytes }) {
            passed.add(Reason::SameName, names::shown(&earlier.raw));
        }
    }
    Ok(held)
}

/// The bytes of a text; `raw` is its name, `place` where they are: offset and size.
fn bytes<R: Read + Seek>(
    tar: &mut Entries<'_, R>,
    path: &str,
    raw: &[u8],
    place: (u64, u64),
) -> Result<Vec<u8>, DataError> {
    tar.bytes(place.0, place.1, TEXT_BYTES).map_err(|e| DataError::caption(path, names::shown(raw), e))
}

/// Pictures and texts by their path without extension.
fn samples<R: Read + Seek>(
    tar: &mut Entries<'_, R>,
    path: &str,
    held: Names,
    passed: &mut PassedOver,
) -> Result<BTreeMap<Vec<u8>, Sample>, DataError> {
    let mut samples: BTreeMap<Vec<u8>, Sample> = BTreeMap::new();
    for (normal, mut held) in held {
        let Content::Bytes { offset, size } = held.content else { continue };
        let (stem, extension) = names::stem(&normal);
        let kind = Kind::of(extension);
        if names::is_hidden(&normal) || matches!(kind, Kind::Other | Kind::OtherPicture) {
            continue;
        }
        let sample = samples.entry(stem.to_vec()).or_default();
        if kind == Kind::Picture {
            sample.pictures.push((held.raw, offset, size));
            continue;
        }
        // What a link leads to need not be named like a text.
        if held.bytes.is_none() {
            held.bytes = Some(bytes(tar, path, &held.raw, (offset, size))?);
        }
        let place = if kind == Kind::Text { &mut sample.captions } else { &mut sample.json };
        if let Some(earlier) = place.replace(held) {
            passed.add(Reason::SameKey, names::shown(&earlier.raw));
        }
    }
    Ok(samples)
}
