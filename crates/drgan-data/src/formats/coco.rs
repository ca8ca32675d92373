//! MS COCO in its own layout: `annotations/captions_NAME.json` and folders of images.
use super::files::{self, LIST_BYTES};
use super::format::{Format, Index};
use super::listing::PublishedSet;
use super::published::{self, Listed, Lists};
use super::text::{self, key_of};
use crate::error::DataError;
use crate::record::{Record, Split};
use serde::Deserialize;
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
        let mut listed = Vec::new();
        for (name, path) in &lists {
            let part = if name.starts_with("train") { Split::Train } else { Split::HeldOut };
            read(root, name, path, split.then_some(part), &mut listed)?;
        }
        let pickle = root.join("captions.pickle");
        let lists = Lists { set: PublishedSet::Coco, layout: self.name(), pickle, remarks: vec![] };
        Ok(published::gather(root, lists, listed))
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

/// Appends what one list names.
fn read(
    root: &Path,
    name: &str,
    path: &Path,
    part: Option<Split>,
    listed: &mut Vec<Listed>,
) -> Result<(), DataError> {
    let bytes = files::read(path, LIST_BYTES).map_err(DataError::io(path))?;
    let list: CaptionList = serde_json::from_slice(&bytes).map_err(|e| {
        let reason = format!("not COCO's caption annotations: {e}");
        DataError::metadata(path.display(), name, reason).because(e)
    })?;
    let mut captions: HashMap<u64, Vec<String>> = HashMap::new();
    for CocoCaption { image_id, caption } in list.annotations {
        captions.entry(image_id).or_default().extend(text::clean(caption.lines()).into_iter().flatten());
    }
    let images = [root.join(name), root.join("images").join(name), root.join("images")];
    let images = images.into_iter().find(|p| p.is_dir()).unwrap_or_else(|| root.join(name));
    for CocoImage { id, file_name } in list.images {
        if files::leads_out(&file_name) {
            let reason = format!("`file_name` of image {id}: `{file_name}` leads out of the set");
            return Err(DataError::metadata(path.display(), name, reason));
        }
        listed.push(Listed {
            image: images.join(&file_name),
            record: Record {
                key: format!("{name}/{}", key_of(&file_name)),
                captions: captions.remove(&id).unwrap_or_default(),
                part,
                ..Record::default()
            },
            bbox: None,
        });
    }
    Ok(())
}
