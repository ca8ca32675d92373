//! CUB-200-2011 as it is published, and in AttnGAN's layout.
use super::attngan::{self, Name};
use super::files::{self, LIST_BYTES};
use super::format::{Format, Index};
use super::listing::PublishedSet;
use super::passed_over::PassedOver;
use super::pictures::Pictures;
use super::published::{self, Listed, Lists, Remark};
use super::text::{self, key_of};
use crate::error::DataError;
use crate::record::{BoundingBox, Record, Split};
use drgan_tensor::internal::shown;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A folder with `CUB_200_2011` in it or beside it.
#[derive(Debug)]
pub(super) struct Cub;

impl Format for Cub {
    fn name(&self) -> &'static str {
        "CUB-200-2011"
    }

    fn detect(&self, path: &Path) -> Result<bool, DataError> {
        Ok(path.is_dir() && published(path).is_some())
    }

    fn index(&self, root: &Path) -> Result<Index, DataError> {
        Places::of(root)?.index(root)
    }
}

/// The folder that holds `images.txt`, `bounding_boxes.txt` and `images/`.
fn published(root: &Path) -> Option<PathBuf> {
    let above = root.parent().unwrap_or(root);
    let places = [
        root.to_owned(),
        root.join("CUB_200_2011"),
        root.join("birds/CUB_200_2011"),
        above.join("CUB_200_2011"),
    ];
    places.into_iter().find(|place| place.join("images.txt").is_file())
}

/// Where the parts of CUB are.
#[derive(Debug)]
struct Places {
    /// Holds `images.txt`, `bounding_boxes.txt` and `images/`.
    cub: PathBuf,
    /// The folder of captions, `CLASS/NAME.txt`.
    texts: PathBuf,
    /// Holds `train/filenames.pickle` and `captions.pickle`, if there is such a folder.
    lists: Option<PathBuf>,
}

impl Places {
    fn of(root: &Path) -> Result<Self, DataError> {
        let cub = published(root).unwrap_or_else(|| root.to_owned());
        let near =
            [root.to_owned(), root.join("birds"), cub.clone(), cub.parent().unwrap_or(&cub).to_owned()];
        let texts = near.iter().flat_map(|p| ["text", "text_c10"].map(|t| p.join(t))).find(|t| t.is_dir());
        let texts = texts.ok_or_else(|| {
            let packed = near.iter().map(|place| place.join("text.zip")).find(|path| path.is_file());
            let reason = match packed {
                Some(zip) => format!(
                    "CUB without captions; unpack them: unzip {} -d {}",
                    shown(&zip),
                    shown(zip.parent().unwrap_or(root))
                ),
                None => {
                    "CUB without captions; put the folder `text` of AttnGAN's birds.zip beside CUB_200_2011"
                        .to_owned()
                }
            };
            DataError::metadata(root.display(), cub.join("images.txt").display(), reason)
        })?;
        let lists = near.into_iter().find(|place| place.join(attngan::NAMES).is_file());
        Ok(Self { cub, texts, lists })
    }

    fn index(&self, root: &Path) -> Result<Index, DataError> {
        let names = numbered(&self.cub.join("images.txt"))?;
        let boxes = numbered(&self.cub.join("bounding_boxes.txt"))?;
        if let Some((id, name)) = names.iter().find(|(_, name)| files::leads_out(name)) {
            let reason = format!("`{name}` leads out of the set");
            return Err(DataError::metadata(self.cub.join("images.txt").display(), id, reason));
        }
        let mut remarks = Vec::new();
        let (layout, mut parts) = self.parts(&names, &mut remarks)?;
        let mut listed = Vec::new();
        let folder = self.cub.join("images");
        let mut pictures = Pictures::new(vec![folder.clone()]);
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
            listed.push(Listed {
                // Some have their pictures in another type than the list says.
                image: pictures.find(&key).unwrap_or_else(|| folder.join(name)),
                bbox: boxes.get(id).map(|line| bbox(&self.cub, id, line)).transpose()?,
                record: Record {
                    captions: published::captions(&self.texts.join(format!("{key}.txt")))?,
                    class_id: class_id.or_else(number),
                    part: Some(part),
                    key,
                    ..Record::default()
                },
            });
        }
        let halved = self.lists.is_none() && self.texts.with_file_name("test/filenames.pickle").is_file();
        let mut unknown = Remark::default();
        parts.keys().for_each(|key| unknown.add(key));
        let odd = [
            halved.then(|| {
                "test/filenames.pickle is there, train/filenames.pickle is not: neither is used".to_owned()
            }),
            unlisted.shown("image[|s] of images.txt [is|are] in no part: left out"),
            unknown.shown("listed name[|s] [is|are] not in images.txt: left out"),
            unboxed.shown("image[|s] [has|have] no line in bounding_boxes.txt: taken whole"),
        ];
        remarks.extend(odd.into_iter().flatten());
        let lists = Lists {
            set: PublishedSet::Cub,
            layout,
            pickle: self.lists.as_ref().unwrap_or(&self.cub).join("captions.pickle"),
            remarks,
        };
        Ok(published::gather(root, lists, listed, PassedOver::default()))
    }

    /// The layout in words, and each key's part and class: of AttnGAN's lists, or of CUB's own split.
    #[expect(clippy::type_complexity, reason = "a pair of a name and a map")]
    fn parts(
        &self,
        names: &HashMap<String, String>,
        remarks: &mut Vec<String>,
    ) -> Result<(&'static str, HashMap<String, (Split, Option<u32>)>), DataError> {
        let mut parts = HashMap::new();
        if let Some(lists) = &self.lists {
            let names = attngan::names(lists)?;
            remarks.extend(names.remarks);
            for Name { key, part, class_id } in names.all {
                parts.insert(key, (part, class_id));
            }
            return Ok((
                "CUB-200-2011 in AttnGAN's layout, split of train/ and test/filenames.pickle",
                parts,
            ));
        }
        for (id, training) in numbered(&self.cub.join("train_test_split.txt"))? {
            let split = if training.trim() == "1" { Split::Train } else { Split::HeldOut };
            parts.extend(names.get(&id).map(|name| (key_of(name).to_owned(), (split, None))));
        }
        Ok(("CUB-200-2011 as published, split of train_test_split.txt", parts))
    }
}

/// Lines of `ID VALUE`, by ID; blank lines do not count.
fn numbered(path: &Path) -> Result<HashMap<String, String>, DataError> {
    let bytes = files::read(path, LIST_BYTES).map_err(DataError::io(path))?;
    let text = std::str::from_utf8(text::unmarked(&bytes))
        .map_err(|e| DataError::metadata(path.display(), "the list", "not UTF-8").because(e))?;
    let lines = text::numbered(text).filter(|(_, line)| !line.trim().is_empty());
    let pair = |(number, line): (usize, &str)| match line.trim().split_once(' ') {
        Some((id, value)) => Ok((id.to_owned(), value.trim().to_owned())),
        None => {
            let reason = format!("`{line}`; expected a number, a space and a value, as CUB is published");
            Err(DataError::metadata(path.display(), format!("line {number}"), reason))
        }
    };
    lines.map(pair).collect()
}

fn bbox(cub: &Path, id: &str, line: &str) -> Result<BoundingBox, DataError> {
    let values: Vec<f64> = line.split_whitespace().filter_map(|v| v.parse().ok()).collect();
    match values[..] {
        [x, y, width, height] if width > 0. && height > 0. && values.iter().all(|v| v.is_finite()) => {
            Ok(BoundingBox { x, y, width, height })
        }
        _ => {
            let reason = format!("`{line}` is no box; expected x, y, width and height in pixels");
            Err(DataError::metadata(cub.join("bounding_boxes.txt").display(), id, reason))
        }
    }
}
