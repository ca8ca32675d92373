//! A folder of images, sub-folders too, with a `.txt` of captions beside each.
use super::format::{Entry, Format, Index};
use super::text;
use crate::error::DataError;
use crate::record::{Location, Record};
use std::path::{Path, PathBuf};

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
        let mut images = Vec::new();
        walk(root, &mut images)?;
        images.sort();
        let shown = root.display().to_string();
        let mut found: Vec<Entry> = Vec::new();
        let mut bare = None;
        for image in images {
            let name = text::relative(root, &image);
            let beside = image.with_extension("txt");
            if !beside.is_file() {
                bare = bare.or(Some(name));
                continue;
            }
            let bytes = std::fs::read(&beside).map_err(DataError::io(&beside))?;
            let captions = text::captions(&shown, &text::relative(root, &beside), bytes)?;
            let key = text::relative(root, &image.with_extension(""));
            if found.last().is_some_and(|f| f.record.key == key) {
                let reason = format!("two images share `{key}.txt`; rename one");
                return Err(DataError::metadata(shown, name, reason));
            }
            let record = Record { key, captions, ..Record::default() };
            found.push(Entry::new(record, name, Location::File(image)));
        }
        match bare {
            _ if found.is_empty() => Err(DataError::NoCaptions { path: root.to_owned() }),
            Some(name) => Err(DataError::caption(shown, name, "no .txt beside it")),
            None => Ok(found.into()),
        }
    }
}

fn walk(folder: &Path, images: &mut Vec<PathBuf>) -> Result<(), DataError> {
    for entry in std::fs::read_dir(folder).map_err(DataError::io(folder))? {
        let path = entry.map_err(DataError::io(folder))?.path();
        if path.is_dir() {
            walk(&path, images)?;
        } else if path.extension().is_some_and(|e| text::is_image(&e.to_string_lossy())) {
            images.push(path);
        }
    }
    Ok(())
}
