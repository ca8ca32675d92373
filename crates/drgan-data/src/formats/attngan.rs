//! AttnGAN's lists of names and classes, as pickles, and COCO in its layout.
use super::coco;
use super::files;
use super::format::{Format, Index};
use super::listing::PublishedSet;
use super::names;
use super::passed_over::{PassedOver, Reason};
use super::pictures::Pictures;
use super::published::{self, Listed, Lists, Remark};
use crate::error::DataError;
use crate::record::{Record, Split};
use drgan_tensor::internal::{Plain, shown};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The list of names that every folder in AttnGAN's layout has.
pub(super) const NAMES: &str = "train/filenames.pickle";

/// COCO with AttnGAN's lists. Text comes as `text/` or as its archives unpack, images in `images/` or as COCO's archives unpack.
#[derive(Debug)]
pub(super) struct AttnGanCoco;

impl Format for AttnGanCoco {
    fn name(&self) -> &'static str {
        "COCO in AttnGAN's layout"
    }

    /// Where COCO's own lists are too, AttnGAN's are taken only if their captions are there.
    fn detect(&self, path: &Path) -> Result<bool, DataError> {
        let Some(root) = root(path) else { return Ok(false) };
        Ok(coco::caption_lists(&root)?.is_empty() || has_captions(&root, &names(&root)?.all))
    }

    fn index(&self, path: &Path) -> Result<Index, DataError> {
        let root = root(path).unwrap_or_else(|| path.to_owned());
        let Names { all: names, mut remarks } = names(&root)?;
        if !has_captions(&root, &names) {
            return Err(no_captions(&root, &names));
        }
        let texts_in = there(&root, &TEXTS);
        let mut pictures = Pictures::new(there(&root, &IMAGES));
        let (mut listed, mut missing) = (Vec::new(), false);
        for Name { key, part, class_id } in names {
            let captions = find(&texts_in, &format!("{key}.txt")).map(|path| published::captions(&path));
            let image = pictures.find(&key);
            missing |= image.is_none();
            listed.push(Listed {
                image: image.unwrap_or_else(|| root.join("images").join(format!("{key}.jpg"))),
                record: Record {
                    captions: captions.transpose()?.unwrap_or_default(),
                    part: Some(part),
                    class_id,
                    key,
                    ..Record::default()
                },
                bbox: None,
            });
        }
        if missing {
            let (folders, types) = (IMAGES.join("/, "), names::PICTURES.join(", ."));
            remarks.push(format!("images are looked for in {folders}/, by their names and .{types}"));
        }
        let pickle = root.join("captions.pickle");
        let lists = Lists { set: PublishedSet::Coco, layout: self.name(), pickle, remarks };
        Ok(published::gather(&root, lists, listed, PassedOver::default()))
    }
}

/// The folder with the lists: `path/birds`, or `path`.
fn root(path: &Path) -> Option<PathBuf> {
    [path.join("birds"), path.to_owned()].into_iter().find(|root| root.join(NAMES).is_file())
}

/// Folders that captions may be in.
const TEXTS: [&str; 3] = ["text", "train2014", "val2014"];
/// Folders that images may be in.
const IMAGES: [&str; 5] = ["images", "images/train2014", "images/val2014", "train2014", "val2014"];

fn there(root: &Path, folders: &[&str]) -> Vec<PathBuf> {
    folders.iter().map(|folder| root.join(folder)).filter(|folder| folder.is_dir()).collect()
}

fn find(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    let mut paths = folders.iter().map(|folder| folder.join(name));
    if files::leads_out(name) { None } else { paths.find(|path| path.is_file()) }
}

fn has_captions(root: &Path, names: &[Name]) -> bool {
    let texts_in = there(root, &TEXTS);
    names.iter().any(|name| find(&texts_in, &format!("{}.txt", name.key)).is_some())
}

fn no_captions(root: &Path, names: &[Name]) -> DataError {
    let reason = match names.iter().any(|name| name.key.contains('/')) {
        true => {
            "AttnGAN's lists of CUB, but no CUB_200_2011; unpack CUB_200_2011.tgz beside or in this folder"
        }
        false => {
            "AttnGAN's lists, but none of their captions in text/, train2014/ or val2014/; unpack train2014-text.zip and \
             val2014-text.zip in this folder"
        }
    };
    DataError::metadata(root.display(), NAMES, reason)
}

/// A name of AttnGAN's lists.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) key: String,
    pub(super) part: Split,
    pub(super) class_id: Option<u32>,
}

/// What AttnGAN's lists name, each name once.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) all: Vec<Name>,
    /// What is odd about the lists.
    pub(super) remarks: Vec<String>,
}

/// `train/` and `test/filenames.pickle`, with the classes of `class_info.pickle` beside them, where there is one. A name in
/// both lists is held out: nothing that is measured on is trained on.
///
/// # Errors
/// A list that cannot be read, or that has another length than its classes.
pub(super) fn names(lists: &Path) -> Result<Names, DataError> {
    let (mut all, mut at): (Vec<Name>, HashMap<String, usize>) = Default::default();
    let (mut both, mut twice) = (PassedOver::default(), Remark::default());
    for (folder, part) in [("train", Split::Train), ("test", Split::HeldOut)] {
        let keys = filenames(&lists.join(folder).join("filenames.pickle"))?;
        let info = lists.join(folder).join("class_info.pickle");
        let classes = if info.is_file() { classes(&info, keys.len())? } else { vec![None; keys.len()] };
        for (key, class_id) in keys.into_iter().zip(classes) {
            let name = Name { key, part, class_id };
            match at.get(&name.key) {
                None => {
                    at.insert(name.key.clone(), all.len());
                    all.push(name);
                }
                Some(at) => {
                    match all[*at].part == part {
                        true => twice.add(&name.key),
                        false => both.add(Reason::BothParts, name.key.as_str()),
                    }
                    all[*at] = name;
                }
            }
        }
    }
    let twice = twice.shown("name[|s] [is|are] listed twice (the last counts)");
    Ok(Names { all, remarks: both.notes().into_iter().chain(twice).collect() })
}

/// Names in AttnGAN's `filenames.pickle`.
fn filenames(path: &Path) -> Result<Vec<String>, DataError> {
    let bad = |reason: String| DataError::metadata(path.display(), "filenames.pickle", reason);
    files::open(path).map_err(DataError::io(path))?;
    let plain = Plain::load(path).map_err(|e| bad(without(path, &e.to_string())).because(e))?;
    let names =
        plain.list().and_then(|l| l.iter().map(|n| n.text().map(str::to_owned)).collect::<Option<Vec<_>>>());
    names.ok_or_else(|| bad("not a list of names".to_owned()))
}

/// AttnGAN's `class_info.pickle`: the class of each of `n` names.
fn classes(path: &Path, n: usize) -> Result<Vec<Option<u32>>, DataError> {
    let bad = |reason: String| {
        let reason = format!("{reason}; without this file the number before a class's name is its class");
        DataError::metadata(path.display(), "class_info.pickle", reason)
    };
    let plain = Plain::load(path).map_err(|e| bad(without(path, &e.to_string())).because(e))?;
    let class = |c: &Plain| c.int().and_then(|c| u32::try_from(c).ok());
    let ids: Option<Vec<_>> = plain.list().and_then(|l| l.iter().map(|c| class(c).map(Some)).collect());
    let ids = ids.ok_or_else(|| bad("not a list of class numbers".to_owned()))?;
    if ids.len() != n {
        return Err(bad(format!("{} classes for the {n} names of filenames.pickle", ids.len())));
    }
    Ok(ids)
}

/// A message without the path it starts with, which is named already.
fn without(path: &Path, message: &str) -> String {
    let named = format!("{}: ", shown(path));
    message.strip_prefix(&named).unwrap_or(message).to_owned()
}
