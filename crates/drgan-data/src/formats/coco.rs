//! MS COCO in its own layout: `annotations/captions_NAME.json` and folders of images.
use super::description::{Captions, kind};
use super::files::{self, LIST_BYTES};
use super::format::{Format, Index};
use super::listing::PublishedSet;
use super::names;
use super::passed_over::{PassedOver, Reason};
use super::published::{self, Listed, Lists};
use super::text::{self, key_of};
use crate::error::DataError;
use crate::record::{Record, Split};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A folder with `annotations/captions_NAME.json`.
#[derive(Debug)]
pub(super) struct Coco;

impl Format for Coco {
    fn name(&self) -> &'static str {
        "COCO in its own layout"
    }

    fn detect(&self, path: &Path) -> Result<bool, DataError> {
        Ok(!caption_lists(path)?.is_empty())
    }

    /// Training images are those of lists named `train...`; without one, the parts are drawn by key.
    fn index(&self, root: &Path) -> Result<Index, DataError> {
        let lists = caption_lists(root)?;
        let split = lists.iter().any(|(name, _)| name.starts_with("train"))
            && lists.iter().any(|(name, _)| !name.starts_with("train"));
        let (mut listed, mut passed) = (Vec::new(), PassedOver::default());
        for (name, path) in &lists {
            let part = if name.starts_with("train") { Split::Train } else { Split::HeldOut };
            let list = List { root, name, path, part: split.then_some(part) };
            listed.extend(list.read(&mut passed)?);
        }
        let pickle = root.join("captions.pickle");
        let lists = Lists { set: PublishedSet::Coco, layout: self.name(), pickle, remarks: vec![] };
        Ok(published::gather(root, lists, listed, passed))
    }
}

/// `NAME` and path of each `annotations/captions_NAME.json`, sorted; none without that folder.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn caption_lists(root: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let folder = root.join("annotations");
    let mut lists = Vec::new();
    if !folder.is_dir() {
        return Ok(lists);
    }
    for entry in std::fs::read_dir(&folder).map_err(DataError::io(&folder))? {
        let path = entry.map_err(DataError::io(&folder))?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = file.strip_prefix("captions_").and_then(|name| name.strip_suffix(".json"));
        lists.extend(name.map(|name| (name.to_owned(), path.clone())));
    }
    lists.sort();
    Ok(lists)
}

/// One of COCO's lists.
struct List<'a> {
    root: &'a Path,
    name: &'a str,
    path: &'a Path,
    part: Option<Split>,
}

/// COCO's `captions_NAME.json`.
#[derive(Deserialize)]
struct CaptionList {
    images: Vec<CocoImage>,
    annotations: Vec<CocoCaption>,
}

// Values of any type, so that a message can name the entry whose field is of a type that is not read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CocoImage {
    id: Value,
    file_name: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CocoCaption {
    image_id: Value,
    caption: Value,
}

/// What captions find their image by: a whole number, in quotes or not, or another text.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Id {
    Number(i128),
    Text(String),
}

impl Id {
    /// None for null.
    fn of(value: &Value) -> Result<Option<Self>, String> {
        // Of larger numbers JSON's reader keeps the first digits alone, and two ids might be one.
        const WHOLE: f64 = 9_007_199_254_740_992.;
        let number = |number: &serde_json::Number| {
            let whole = number.as_f64().filter(|x| x.fract() == 0. && x.abs() <= WHOLE).map(|x| x as i128);
            number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)).or(whole)
        };
        match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(match text.trim().parse() {
                Ok(number) => Self::Number(number),
                Err(_) => Self::Text(text.clone()),
            })),
            Value::Number(id) => match number(id) {
                Some(number) => Ok(Some(Self::Number(number))),
                None => {
                    Err(format!("is {id}; expected a whole number below 2^64, or a larger one in quotes"))
                }
            },
            other => Err(format!("is {}; expected a whole number or a text", kind(other))),
        }
    }
}

impl List<'_> {
    /// What the list names, with the captions of each image.
    fn read(&self, passed: &mut PassedOver) -> Result<Vec<Listed>, DataError> {
        let bytes = files::read(self.path, LIST_BYTES).map_err(DataError::io(self.path))?;
        let list: CaptionList = serde_json::from_slice(text::unmarked(&bytes)).map_err(|e| {
            let reason = format!("not COCO's caption annotations: {e}");
            DataError::metadata(self.path.display(), self.name, reason).because(e)
        })?;
        let mut captions: HashMap<Id, Vec<String>> = HashMap::new();
        for (i, CocoCaption { image_id, caption }) in list.annotations.into_iter().enumerate() {
            let at = format!("annotations[{i}]");
            let mut all = Captions::default();
            all.add(&caption).map_err(|kind| {
                self.bad(&at, format!("`caption` holds {kind}; expected a text or a list of texts"))
            })?;
            (0..all.empty).for_each(|_| passed.add(Reason::EmptyCaption, self.place(&at)));
            match Id::of(&image_id).map_err(|reason| self.bad(&at, format!("`image_id` {reason}")))? {
                Some(id) => captions
                    .entry(id)
                    .or_default()
                    .extend(all.texts.iter().flat_map(|text| text::clean(text.lines())).flatten()),
                None => passed.add(Reason::NoPicture, self.place(&at)),
            }
        }
        let images =
            [self.root.join(self.name), self.root.join("images").join(self.name), self.root.join("images")];
        let images = images.into_iter().find(|p| p.is_dir()).unwrap_or_else(|| self.root.join(self.name));
        let (mut listed, mut keys): (Vec<Listed>, Vec<[String; 2]>) = Default::default();
        let mut at_path: HashMap<PathBuf, usize> = HashMap::new();
        for (i, CocoImage { id, file_name }) in list.images.into_iter().enumerate() {
            let at = format!("images[{i}]");
            let id = Id::of(&id).map_err(|reason| self.bad(&at, format!("`id` {reason}")))?;
            let captions = id.and_then(|id| captions.remove(&id)).unwrap_or_default();
            let Some(file_name) = self.file_name(&at, file_name)? else {
                passed.add(Reason::NoName, self.place(&at));
                continue;
            };
            let (image, below) = find(self.root, self.name, &images, &file_name);
            if let Some(earlier) = at_path.get(&image) {
                listed[*earlier].record.captions.extend(captions);
                passed.add(Reason::NamedAgain, self.place(&at));
                continue;
            }
            at_path.insert(image.clone(), listed.len());
            keys.push([key_of(below), below].map(|key| format!("{}/{key}", self.name)));
            let record = Record { captions, part: self.part, ..Record::default() };
            listed.push(Listed { image, record, bbox: None });
        }
        for (one, key) in listed.iter_mut().zip(text::distinct(keys)) {
            one.record.key = key;
        }
        for (id, captions) in captions {
            let id = match id {
                Id::Number(id) => id.to_string(),
                Id::Text(id) => id,
            };
            captions
                .iter()
                .for_each(|_| passed.add(Reason::NoPicture, self.place(&format!("image_id {id}"))));
        }
        Ok(listed)
    }

    /// Where in the set something is, for what is passed over.
    fn place(&self, at: &str) -> String {
        format!("{} of captions_{}.json", at, self.name)
    }

    fn bad(&self, at: &str, reason: String) -> DataError {
        DataError::metadata(self.path.display(), at, reason)
    }

    /// The name of an image's file; none for null or blank.
    fn file_name(&self, at: &str, value: Value) -> Result<Option<String>, DataError> {
        match value {
            Value::Null => Ok(None),
            Value::String(name) if name.trim().is_empty() => Ok(None),
            Value::String(name) if files::leads_out(&name) || files::leads_out(&name.replace('\\', "/")) => {
                Err(self
                    .bad(at, format!("`file_name` {} leads out of the set", names::shown(name.as_bytes()))))
            }
            Value::String(name) => Ok(Some(name)),
            other => Err(self.bad(at, format!("`file_name` is {}; expected a path as text", kind(&other)))),
        }
    }
}

/// Where the image is that a list calls `file_name`, and what it is called below the folder `NAME` of images: some lists give a
/// path from the set's folder, or from where their writer had the images.
fn find<'a>(root: &Path, name: &str, images: &Path, file_name: &'a str) -> (PathBuf, &'a str) {
    let own = images.join(file_name);
    if own.is_file() {
        return (own, file_name);
    }
    let below = file_name.strip_prefix(name).and_then(|rest| rest.strip_prefix('/')).unwrap_or(file_name);
    let last = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let others =
        [root.join(file_name), root.join("images").join(file_name), images.join(below), images.join(last)];
    (others.into_iter().find(|path| path.is_file()).unwrap_or(own), below)
}
