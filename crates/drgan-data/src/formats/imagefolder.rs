//! Hugging Face's imagefolder layout: `metadata.jsonl` or `metadata.csv` beside the images, or in the folder of each part.
use super::description::{CAPTIONS, Captions, Description, Row, kind};
use super::files;
use super::folder;
use super::format::{Entry, Format, Index};
use super::metadata::{self, FILE_NAMES, List};
use super::names;
use super::passed_over::{PassedOver, Reason};
use super::text::{self, key_of};
use crate::error::DataError;
use crate::record::{Location, Record, Split};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A folder with lists of images; the key is the image's path without extension, or with it where another image has the same.
#[derive(Debug)]
pub(super) struct ImageFolder;

impl Format for ImageFolder {
    fn name(&self) -> &'static str {
        "a folder of images"
    }

    fn detect(&self, path: &Path) -> Result<bool, DataError> {
        Ok(!metadata::lists(path).is_empty())
    }

    fn index(&self, root: &Path) -> Result<Index, DataError> {
        let mut set = Set { root, found: vec![], at: HashMap::new(), passed: PassedOver::default() };
        let lists = metadata::lists(root);
        lists.iter().try_for_each(|list| set.read(list))?;
        set.index(&lists)
    }
}

/// An image of a list.
struct Listed {
    /// As the list names it, below the set's folder.
    name: String,
    file: PathBuf,
    captions: Vec<String>,
    description: Description,
    part: Option<Split>,
}

/// What the lists of a set name.
struct Set<'a> {
    root: &'a Path,
    found: Vec<Listed>,
    /// Where in `found` the image of a path is, see [`names::normal`].
    at: HashMap<Vec<u8>, usize>,
    passed: PassedOver,
}

impl Set<'_> {
    fn read(&mut self, list: &List) -> Result<(), DataError> {
        // A field that some rows lack is as good as null there; one that all of them lack is called otherwise.
        let mut first = None;
        let mut lacks = [("the picture's name", &FILE_NAMES[..], true), ("captions", &CAPTIONS[..], true)];
        metadata::read(&list.path, |place, row| {
            lacks
                .iter_mut()
                .for_each(|(_, fields, lacks)| *lacks &= !fields.iter().any(|name| row.has(name)));
            first.get_or_insert_with(|| (place.to_owned(), row.names()));
            self.take(list, place, row)
        })?;
        let lacking = lacks.into_iter().find(|(.., lacks)| *lacks);
        let (Some((place, has)), Some((what, fields, _))) = (first, lacking) else { return Ok(()) };
        let reason =
            format!("no field for {what} (`{}`) in any entry; this one has {has}", fields.join("`, `"));
        Err(DataError::metadata(list.path.display(), place, reason))
    }

    /// One entry of a list.
    fn take(&mut self, list: &List, place: &str, mut row: Row) -> Result<(), String> {
        let Some(name) = file_name(&mut row)? else {
            let list = files::relative(self.root, &list.path);
            self.passed.add(Reason::NoName, format!("{list}, {place}"));
            return Ok(());
        };
        let captions = Captions::take(&mut row)?.unwrap_or_default();
        let description = Description::take(&mut row)?;
        let (name, file) = resolved(self.root, &list.below, name)?;
        if !captions.texts.is_empty() {
            (0..captions.empty).for_each(|_| self.passed.add(Reason::EmptyCaption, name.as_str()));
        }
        let normal = names::normal(name.as_bytes()).unwrap_or_default();
        let Some(at) = self.at.get(&normal).copied() else {
            self.at.insert(normal, self.found.len());
            let (captions, part) = (captions.texts, list.part);
            self.found.push(Listed { name, file, captions, description, part });
            return Ok(());
        };
        self.passed.add(Reason::NamedAgain, name);
        let earlier = &mut self.found[at].captions;
        for caption in captions.texts {
            if !earlier.contains(&caption) {
                earlier.push(caption);
            }
        }
        Ok(())
    }

    fn index(self, lists: &[List]) -> Result<Index, DataError> {
        let Self { root, found, at, mut passed } = self;
        let own = lists.iter().map(|list| files::relative_bytes(root, &list.path));
        let listed = at.into_keys().chain(own).collect();
        let (captioned, bare): (Vec<_>, Vec<_>) = found.into_iter().partition(|one| !one.captions.is_empty());
        if let (true, Some(first)) = (captioned.is_empty(), bare.first()) {
            return Err(DataError::caption(root.display(), &first.name, "empty, as all others are"));
        }
        bare.into_iter().for_each(|one| passed.add(Reason::NoCaption, one.name));
        let names = captioned.iter().map(|one| [key_of(&one.name).to_owned(), one.name.clone()]);
        let keys = text::distinct(names.collect());
        let entry = |(one, key): (Listed, String)| {
            let record = Record { part: one.part, ..one.description.record(key, one.captions) };
            Entry::new(record, one.name, Location::File(one.file))
        };
        let mut entries: Vec<Entry> = captioned.into_iter().zip(keys).map(entry).collect();
        entries.sort_by(|a, b| a.record.key.cmp(&b.record.key));
        passed.merge(folder::unlisted(root, &listed)?);
        Ok(Index { entries, passed, ..Index::default() })
    }
}

/// The picture that a row names; none where that is null or blank.
fn file_name(row: &mut Row) -> Result<Option<String>, String> {
    for field in FILE_NAMES {
        match row.take(field)? {
            None | Some(Value::Null) => {}
            Some(Value::String(name)) if name.trim().is_empty() => {}
            Some(Value::String(name)) => return Ok(Some(name)),
            Some(other) => return Err(format!("`{field}` is {}; expected a path as text", kind(&other))),
        }
    }
    Ok(None)
}

/// The name of a picture below the set's folder, and its file. Lists from Windows have `\\` where others have `/`.
fn resolved(root: &Path, below: &str, name: String) -> Result<(String, PathBuf), String> {
    let find = |name: &str| match Path::new(name).has_root() {
        true => Err(Reason::Outside),
        false => files::inside(root, &format!("{below}{name}")),
    };
    let slashed = || find(&name.replace('\\', "/")).map(|file| (name.replace('\\', "/"), file));
    let found = find(&name).map(|file| (name.clone(), file));
    match found.or_else(|reason| slashed().map_err(|_| reason)) {
        Ok((name, file)) => Ok((format!("{below}{name}"), file)),
        Err(Reason::Outside) => {
            let name = names::shown(name.as_bytes());
            Err(format!("`file_name` {name} leads out of the set; name a file in it"))
        }
        Err(_) => {
            let file = root.join(format!("{below}{name}"));
            Err(format!("no file {}; correct `file_name`", names::shown(file.as_os_str().as_encoded_bytes())))
        }
    }
}
