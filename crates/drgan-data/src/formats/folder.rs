//! A folder of images, sub-folders too, with a `.txt` of captions beside each.
use super::files::{self, TEXT_BYTES, Tree};
use super::format::{Entry, Format, Index};
use super::metadata;
use super::names::{self, Kind};
use super::passed_over::{PassedOver, Reason};
use super::text;
use crate::error::DataError;
use crate::record::{Location, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A folder with `a.txt` beside `a.png`; the key is the path without extension.
#[derive(Debug)]
pub(super) struct TextFolder;

impl Format for TextFolder {
    fn name(&self) -> &'static str {
        "a folder of images"
    }

    fn detect(&self, path: &Path) -> Result<bool, DataError> {
        Ok(path.is_dir())
    }

    fn index(&self, root: &Path) -> Result<Index, DataError> {
        let Tree { files, mut passed } = files::tree(root)?;
        let (mut images, mut texts) = (Vec::new(), BTreeMap::new());
        for file in files {
            let name = files::relative_bytes(root, &file);
            let (stem, extension) = names::stem(&name);
            match Kind::of(extension) {
                Kind::Picture => images.push(file),
                Kind::Text => drop(texts.insert(stem.to_vec(), file)),
                Kind::OtherPicture => passed.add(Reason::PictureType, names::shown(&name)),
                Kind::Json | Kind::Other => passed.add(Reason::Other, names::shown(&name)),
            }
        }
        let shown = root.display().to_string();
        let mut found: Vec<Entry> = Vec::new();
        let (mut bare, mut taken) = (None, BTreeSet::new());
        for image in images {
            let raw = files::relative_bytes(root, &image);
            let (stem, name) = (names::stem(&raw).0.to_vec(), names::shown(&raw));
            let Some(beside) = texts.get(&stem) else {
                bare = bare.or(Some(name));
                continue;
            };
            let key = names::shown(&stem);
            if !taken.insert(stem) {
                passed.add(Reason::SecondPicture, name);
                continue;
            }
            let entry = files::relative(root, beside);
            let bytes = files::read(beside, TEXT_BYTES).map_err(DataError::io(beside))?;
            let captions = text::captions(&shown, &entry, bytes)?;
            let record = Record { key, captions, ..Record::default() };
            found.push(Entry::new(record, name, Location::File(image)));
        }
        if found.is_empty() {
            metadata::refused(root).map_or(Ok(()), Err)?;
        }
        match bare {
            bare if found.is_empty() && (bare.is_some() || passed.is_empty()) => {
                Err(DataError::NoCaptions { path: root.to_owned() })
            }
            Some(name) => Err(DataError::caption(shown, name, "no .txt beside it")),
            None => {
                for (_, text) in texts.iter().filter(|(stem, _)| !taken.contains(*stem)) {
                    passed.add(Reason::NoPicture, files::relative(root, text));
                }
                Ok(Index { entries: found, passed, ..Index::default() })
            }
        }
    }
}

/// Counts what is in the folder `root` of a set that names its pictures in lists, but for the lists that are read and what they name, `listed` by
/// [`names::normal`].
///
/// # Errors
/// The folder cannot be read.
pub(super) fn unlisted(root: &Path, listed: &BTreeSet<Vec<u8>>) -> Result<PassedOver, DataError> {
    let Tree { files, mut passed } = files::tree(root)?;
    for name in files.iter().map(|file| files::relative_bytes(root, file)) {
        if listed.contains(&name) {
            continue;
        }
        match Kind::of(names::stem(&name).1) {
            Kind::Picture => passed.add(Reason::Unlisted, names::shown(&name)),
            Kind::OtherPicture => passed.add(Reason::PictureType, names::shown(&name)),
            Kind::Json | Kind::Other if metadata::is_named_as_list(&name) => {
                passed.add(Reason::OtherList, names::shown(&name));
            }
            Kind::Text => passed.add(Reason::UnlistedText, names::shown(&name)),
            Kind::Json | Kind::Other => passed.add(Reason::Other, names::shown(&name)),
        }
    }
    Ok(passed)
}
