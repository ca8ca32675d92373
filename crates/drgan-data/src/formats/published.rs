//! The sets of the paper as they are published: CUB-200-2011 and MS COCO, in AttnGAN's layout or their own.
use super::folder;
use crate::dataset::{Found, Place};
use crate::{DataError, Split};
use drgan_tensor::internal::Plain;
use drgan_text::Vocabulary;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What a folder of a published set holds.
pub(crate) struct Published {
    /// Which set, in which layout.
    pub(crate) layout: &'static str,
    /// The preset made for it.
    pub(crate) preset: &'static str,
    /// Records with captions and a picture, sorted by key.
    pub(crate) found: Vec<Found>,
    /// Records listed, with captions or without, with a picture or without.
    pub(crate) listed: usize,
    /// Captions of all that is listed.
    pub(crate) captions: usize,
    /// Listed records of each given part: training, held out.
    pub(crate) parts: [usize; 2],
    /// Keys of records whose picture is not there.
    pub(crate) without_picture: Vec<String>,
    /// Keys of records whose captions are not there.
    pub(crate) without_captions: Vec<String>,
    /// Captions without a word of ASCII letters or digits: they are left out.
    pub(crate) wordless: usize,
    /// Of `captions.pickle`, or of all captions listed.
    pub(crate) vocabulary: Vocabulary,
    /// Where the vocabulary is from.
    pub(crate) vocabulary_from: String,
    /// What else is odd about the lists.
    pub(crate) remarks: Vec<String>,
}

/// A record as a layout lists it.
struct Entry {
    key: String,
    part: Option<Split>,
    captions: Vec<String>,
    picture: PathBuf,
    class_id: Option<u32>,
    /// x, y, width, height in pixels.
    bird: Option<[f64; 4]>,
}

/// The published set in `root`, if it is one.
///
/// # Errors
/// A list, caption or pickle of a recognised set that cannot be read; each names its file.
pub(crate) fn index(root: &Path) -> Result<Option<Published>, DataError> {
    if let Some(birds) = Birds::in_folder(root)? {
        return birds.read(root).map(Some);
    }
    let below = root.join("birds");
    if below.join("train/filenames.pickle").is_file() {
        return index(&below);
    }
    let pickle = root.join("captions.pickle");
    let annotations = root.join("annotations");
    let lists = if annotations.is_dir() { caption_lists(&annotations)? } else { vec![] };
    if root.join("train/filenames.pickle").is_file()
        && let Some(entries) = coco_of_attngan(root, !lists.is_empty())?
    {
        return gather(root, "COCO in AttnGAN's layout", "coco", entries, &pickle, vec![]).map(Some);
    }
    if lists.is_empty() {
        return Ok(None);
    }
    gather(root, "COCO in its own layout", "coco", coco(root, &lists)?, &pickle, vec![]).map(Some)
}

/// The records of AttnGAN's lists, if their captions are there. Text comes as `text/` or as its archives unpack, pictures in
/// `images/` or as COCO's archives unpack.
///
/// # Errors
/// A list that cannot be read; no captions, and no `others` to take instead.
fn coco_of_attngan(root: &Path, others: bool) -> Result<Option<Vec<Entry>>, DataError> {
    let records = listed(root)?;
    let there = |places: &[&str]| -> Vec<PathBuf> {
        places.iter().map(|place| root.join(place)).filter(|place| place.is_dir()).collect()
    };
    let texts_in = there(&["text", "train2014", "val2014"]);
    let pictures_in = there(&["images", "images/train2014", "images/val2014", "train2014", "val2014"]);
    let find = |places: &[PathBuf], name: &str| {
        places.iter().map(|place| place.join(name)).find(|path| path.is_file())
    };
    if !records.iter().any(|r| find(&texts_in, &format!("{}.txt", r.key)).is_some()) {
        if others {
            return Ok(None);
        }
        let birds = records.iter().any(|r| r.key.contains('/'));
        return Err(DataError::Metadata {
            path: root.display().to_string(),
            entry: "train/filenames.pickle".to_owned(),
            reason: match birds {
                true => "AttnGAN's lists of CUB, but no CUB_200_2011; unpack CUB_200_2011.tgz beside or in this folder",
                false => {
                    "AttnGAN's lists, but none of their captions in text/, train2014/ or val2014/; unpack \
                     train2014-text.zip and val2014-text.zip in this folder"
                }
            }
            .to_owned(),
        });
    }
    let mut entries = Vec::new();
    for Listed { key, part, class_id } in records {
        let captions = find(&texts_in, &format!("{key}.txt")).map(|path| texts(&path)).transpose()?;
        let picture = format!("{key}.jpg");
        entries.push(Entry {
            part: Some(part),
            captions: captions.unwrap_or_default(),
            picture: find(&pictures_in, &picture).unwrap_or_else(|| root.join("images").join(picture)),
            class_id,
            bird: None,
            key,
        });
    }
    Ok(Some(entries))
}

/// Where the parts of CUB are.
struct Birds {
    /// Holds `images.txt`, `bounding_boxes.txt` and `images/`.
    cub: PathBuf,
    /// Holds `CLASS/NAME.txt`.
    texts: PathBuf,
    /// Holds `train/filenames.pickle` and `captions.pickle`, if there is such a folder.
    lists: Option<PathBuf>,
}

impl Birds {
    fn in_folder(root: &Path) -> Result<Option<Self>, DataError> {
        let above = root.parent().unwrap_or(root);
        let first = |places: &[PathBuf], holds: &str| places.iter().find(|p| p.join(holds).exists()).cloned();
        let cub = [
            root.to_owned(),
            root.join("CUB_200_2011"),
            root.join("birds/CUB_200_2011"),
            above.join("CUB_200_2011"),
        ];
        let Some(cub) = first(&cub, "images.txt") else { return Ok(None) };
        let near =
            [root.to_owned(), root.join("birds"), cub.clone(), cub.parent().unwrap_or(&cub).to_owned()];
        let texts = near.iter().flat_map(|p| ["text", "text_c10"].map(|t| p.join(t))).find(|t| t.is_dir());
        let texts = texts.ok_or_else(|| {
            let packed = near.iter().map(|place| place.join("text.zip")).find(|path| path.is_file());
            DataError::Metadata {
                path: root.display().to_string(),
                entry: cub.join("images.txt").display().to_string(),
                reason: match packed {
                    Some(zip) => format!(
                        "CUB without captions; unpack them: unzip {} -d {}",
                        zip.display(),
                        zip.parent().unwrap_or(root).display()
                    ),
                    None => "CUB without captions; put the folder `text` of AttnGAN's birds.zip beside CUB_200_2011"
                        .to_owned(),
                },
            }
        })?;
        Ok(Some(Self { cub, texts, lists: first(&near, "train/filenames.pickle") }))
    }

    fn read(&self, root: &Path) -> Result<Published, DataError> {
        let names = numbered(&self.cub.join("images.txt"))?;
        let boxes = numbered(&self.cub.join("bounding_boxes.txt"))?;
        let mut parts: HashMap<String, (Split, Option<u32>)> = HashMap::new();
        let mut twice = Remark::default();
        let layout = match &self.lists {
            Some(lists) => {
                for Listed { key, part, class_id } in listed(lists)? {
                    if parts.insert(key.clone(), (part, class_id)).is_some() {
                        twice.add(&key);
                    }
                }
                "CUB-200-2011 in AttnGAN's layout, split of train/ and test/filenames.pickle"
            }
            None => {
                for (id, training) in numbered(&self.cub.join("train_test_split.txt"))? {
                    let split = if training.trim() == "1" { Split::Train } else { Split::HeldOut };
                    parts.extend(names.get(&id).map(|name| (key_of(name).to_owned(), (split, None))));
                }
                "CUB-200-2011 as published, split of train_test_split.txt"
            }
        };
        let mut entries = Vec::new();
        let (mut unlisted, mut unboxed) = (Remark::default(), Remark::default());
        for (id, name) in &names {
            let key = key_of(name).to_owned();
            let Some((part, class_id)) = parts.remove(&key) else {
                unlisted.add(&key);
                continue;
            };
            if !boxes.contains_key(id) {
                unboxed.add(&key);
            }
            let number = || key.split('.').next().and_then(|number| number.parse().ok());
            entries.push(Entry {
                part: Some(part),
                captions: texts(&self.texts.join(format!("{key}.txt")))?,
                picture: self.cub.join("images").join(name),
                class_id: class_id.or_else(number),
                bird: boxes.get(id).map(|line| bird(&self.cub, id, line)).transpose()?,
                key,
            });
        }
        let pickle = self.lists.as_ref().unwrap_or(&self.cub).join("captions.pickle");
        let halved = self.lists.is_none() && self.texts.with_file_name("test/filenames.pickle").is_file();
        let mut unknown = Remark::default();
        parts.keys().for_each(|key| unknown.add(key));
        let remarks = [
            halved.then(|| {
                "test/filenames.pickle is there, train/filenames.pickle is not: neither is used".to_owned()
            }),
            twice.shown("names are listed twice (the last counts)"),
            unlisted.shown("pictures of images.txt are in no part: left out"),
            unknown.shown("listed names are not in images.txt: left out"),
            unboxed.shown("pictures have no line in bounding_boxes.txt: taken whole"),
        ];
        gather(root, layout, "birds", entries, &pickle, remarks.into_iter().flatten().collect())
    }
}

/// How many names something is said of, and the first in alphabetical order.
#[derive(Default)]
struct Remark {
    count: usize,
    first: Option<String>,
}

impl Remark {
    fn add(&mut self, name: &str) {
        self.count += 1;
        if self.first.as_deref().is_none_or(|first| name < first) {
            self.first = Some(name.to_owned());
        }
    }

    fn shown(self, what: &str) -> Option<String> {
        self.first.map(|first| format!("{} {what}, first {first}", self.count))
    }
}

/// `CLASS/NAME.jpg` without its extension.
fn key_of(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(key, _)| key)
}

/// Lines of `ID VALUE`, by ID; blank lines do not count.
fn numbered(path: &Path) -> Result<HashMap<String, String>, DataError> {
    let text = std::fs::read_to_string(path).map_err(DataError::io(path))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let pair = |(i, line): (usize, &str)| match line.trim().split_once(' ') {
        Some((id, value)) => Ok((id.to_owned(), value.trim().to_owned())),
        None => Err(DataError::Metadata {
            path: path.display().to_string(),
            entry: format!("line {}", i + 1),
            reason: format!("`{line}`; expected a number, a space and a value, as CUB is published"),
        }),
    };
    lines.map(pair).collect()
}

fn bird(cub: &Path, id: &str, line: &str) -> Result<[f64; 4], DataError> {
    let values: Vec<f64> = line.split_whitespace().filter_map(|v| v.parse().ok()).collect();
    match values[..] {
        [x, y, w, h] if w > 0. && h > 0. && values.iter().all(|v| v.is_finite()) => Ok([x, y, w, h]),
        _ => Err(DataError::Metadata {
            path: cub.join("bounding_boxes.txt").display().to_string(),
            entry: id.to_owned(),
            reason: format!("`{line}` is no box; expected x, y, width and height in pixels"),
        }),
    }
}

/// A message without the path it starts with, which is named already.
fn without(path: &Path, message: &str) -> String {
    let named = format!("{}: ", path.display());
    message.strip_prefix(&named).unwrap_or(message).to_owned()
}

/// Names in AttnGAN's `filenames.pickle`.
fn filenames(path: &Path) -> Result<Vec<String>, DataError> {
    let bad = |reason: String| DataError::Metadata {
        path: path.display().to_string(),
        entry: "filenames.pickle".to_owned(),
        reason,
    };
    let plain = Plain::load(path).map_err(|e| bad(without(path, &e.to_string())))?;
    let names =
        plain.list().and_then(|l| l.iter().map(|n| n.text().map(str::to_owned)).collect::<Option<Vec<_>>>());
    names.ok_or_else(|| bad("not a list of names".to_owned()))
}

/// A name of AttnGAN's lists.
struct Listed {
    key: String,
    part: Split,
    class_id: Option<u32>,
}

/// `train/` and `test/filenames.pickle`, with the classes of `class_info.pickle` beside them, where there is one.
fn listed(lists: &Path) -> Result<Vec<Listed>, DataError> {
    let mut all = Vec::new();
    for (part, split) in [("train", Split::Train), ("test", Split::HeldOut)] {
        let names = filenames(&lists.join(part).join("filenames.pickle"))?;
        let info = lists.join(part).join("class_info.pickle");
        let classes = if info.is_file() { classes(&info, names.len())? } else { vec![None; names.len()] };
        let pair = |(key, class_id)| Listed { key, part: split, class_id };
        all.extend(names.into_iter().zip(classes).map(pair));
    }
    Ok(all)
}

/// AttnGAN's `class_info.pickle`: the class of each of `n` names.
fn classes(path: &Path, n: usize) -> Result<Vec<Option<u32>>, DataError> {
    let bad = |reason: String| DataError::Metadata {
        path: path.display().to_string(),
        entry: "class_info.pickle".to_owned(),
        reason: format!("{reason}; without this file the number before a class's name is its class"),
    };
    let plain = Plain::load(path).map_err(|e| bad(without(path, &e.to_string())))?;
    let class = |c: &Plain| c.int().and_then(|c| u32::try_from(c).ok());
    let ids: Option<Vec<_>> = plain.list().and_then(|l| l.iter().map(|c| class(c).map(Some)).collect());
    let ids = ids.ok_or_else(|| bad("not a list of class numbers".to_owned()))?;
    if ids.len() != n {
        return Err(bad(format!("{} classes for the {n} names of filenames.pickle", ids.len())));
    }
    Ok(ids)
}

/// A caption a line, none if there is no such file. Bytes that are no UTF-8 are replaced, and AttnGAN's pairs of
/// replacements become spaces.
fn texts(path: &Path) -> Result<Vec<String>, DataError> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).replace("\u{fffd}\u{fffd}", " ");
            Ok(folder::clean(text.lines()).unwrap_or_default())
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(vec![]),
        Err(e) => Err(DataError::io(path)(e)),
    }
}

/// COCO's `captions_NAME.json`.
#[derive(Deserialize)]
struct CaptionList {
    images: Vec<CocoImage>,
    annotations: Vec<CocoCaption>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct CocoCaption {
    image_id: u64,
    caption: String,
}

/// `NAME` and path of each `captions_NAME.json`, sorted.
fn caption_lists(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let mut lists = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(DataError::io(folder))? {
        let path = entry.map_err(DataError::io(folder))?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = file.strip_prefix("captions_").and_then(|name| name.strip_suffix(".json"));
        lists.extend(name.map(|name| (name.to_owned(), path.clone())));
    }
    lists.sort();
    Ok(lists)
}

/// Training pictures are those of lists named `train...`; without one, the parts are drawn by key.
fn coco(root: &Path, lists: &[(String, PathBuf)]) -> Result<Vec<Entry>, DataError> {
    let split = lists.iter().any(|(name, _)| name.starts_with("train"))
        && lists.iter().any(|(name, _)| !name.starts_with("train"));
    let mut entries = Vec::new();
    for (name, path) in lists {
        let bytes = std::fs::read(path).map_err(DataError::io(path))?;
        let list: CaptionList = serde_json::from_slice(&bytes).map_err(|e| DataError::Metadata {
            path: path.display().to_string(),
            entry: name.clone(),
            reason: format!("not COCO's caption annotations: {e}"),
        })?;
        let mut captions: HashMap<u64, Vec<String>> = HashMap::new();
        for CocoCaption { image_id, caption } in list.annotations {
            captions
                .entry(image_id)
                .or_default()
                .extend(folder::clean(caption.lines()).into_iter().flatten());
        }
        let pictures = [root.join(name), root.join("images").join(name), root.join("images")];
        let pictures = pictures.into_iter().find(|p| p.is_dir()).unwrap_or_else(|| root.join(name));
        for CocoImage { id, file_name } in list.images {
            let part = if name.starts_with("train") { Split::Train } else { Split::HeldOut };
            entries.push(Entry {
                key: format!("{name}/{}", key_of(&file_name)),
                part: split.then_some(part),
                captions: captions.remove(&id).unwrap_or_default(),
                picture: pictures.join(&file_name),
                class_id: None,
                bird: None,
            });
        }
    }
    Ok(entries)
}

fn gather(
    root: &Path,
    layout: &'static str,
    preset: &'static str,
    mut entries: Vec<Entry>,
    pickle: &Path,
    remarks: Vec<String>,
) -> Result<Published, DataError> {
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    let listed_captions: usize = entries.iter().map(|e| e.captions.len()).sum();
    for entry in &mut entries {
        entry.captions.retain(|c| c.chars().any(|c| c.is_ascii_alphanumeric()));
    }
    let kept: usize = entries.iter().map(|e| e.captions.len()).sum();
    let words = |e: drgan_tensor::Error| DataError::Caption {
        path: root.display().to_string(),
        entry: "all captions".to_owned(),
        reason: e.to_string(),
    };
    let (vocabulary, vocabulary_from) = if pickle.is_file() {
        (Vocabulary::from_captions_pickle(pickle).map_err(words)?, pickle.display().to_string())
    } else {
        let all = entries.iter().flat_map(|e| e.captions.iter().map(String::as_str));
        (Vocabulary::from_captions(all).map_err(words)?, "built from the captions".to_owned())
    };
    let count = |part| entries.iter().filter(|e| e.part == Some(part)).count();
    let mut set = Published {
        layout,
        preset,
        found: Vec::new(),
        listed: entries.len(),
        captions: listed_captions,
        wordless: listed_captions - kept,
        parts: [count(Split::Train), count(Split::HeldOut)],
        without_picture: Vec::new(),
        without_captions: Vec::new(),
        vocabulary,
        vocabulary_from,
        remarks,
    };
    for Entry { key, part, captions, picture, class_id, bird } in entries {
        if captions.is_empty() {
            set.without_captions.push(key);
        } else if !picture.is_file() {
            set.without_picture.push(key);
        } else {
            let name = picture.strip_prefix(root).unwrap_or(&picture).display().to_string();
            let description = folder::Description { class_id, ..Default::default() };
            set.found.push(Found {
                key,
                name,
                place: Place::File(picture),
                captions,
                description,
                part,
                bird,
            });
        }
    }
    Ok(set)
}
