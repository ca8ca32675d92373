//! Hugging Face's imagefolder layout: `metadata.jsonl` beside the images.
use super::files::{self, LIST_BYTES};
use super::folder;
use super::format::{Entry, Format, Index};
use super::names;
use super::passed_over::Reason;
use super::text::{self, Description};
use crate::error::DataError;
use crate::record::Location;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

const METADATA: &str = "metadata.jsonl";

/// A folder with `metadata.jsonl`; the key is `file_name` without extension.
#[derive(Debug)]
pub(super) struct ImageFolder;

/// A line of `metadata.jsonl`.
#[derive(Deserialize)]
struct Line {
    file_name: String,
    text: Text,
    #[serde(flatten)]
    description: Description,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    One(String),
    Many(Vec<String>),
}

impl Format for ImageFolder {
    fn name(&self) -> &'static str {
        "a folder of images"
    }

    fn detect(&self, path: &Path) -> Result<bool, DataError> {
        Ok(path.join(METADATA).is_file())
    }

    fn index(&self, root: &Path) -> Result<Index, DataError> {
        let metadata = root.join(METADATA);
        let path = metadata.display().to_string();
        let bytes = files::read(&metadata, LIST_BYTES).map_err(DataError::io(&metadata))?;
        let text = String::from_utf8(bytes).map_err(|_| DataError::caption(&path, METADATA, "not UTF-8"))?;
        let (mut found, mut listed) = (Vec::new(), BTreeSet::new());
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let number = format!("line {}", i + 1);
            let line: Line = serde_json::from_str(line).map_err(|e| {
                let expected = "{\"file_name\": \"a.png\", \"text\": \"a caption\" or [\"several\"]}";
                DataError::metadata(&path, &number, format!("{e}; expected {expected}")).because(e)
            })?;
            let file = files::inside(root, &line.file_name).map_err(|reason| {
                let reason = match reason {
                    Reason::Outside => {
                        format!("file_name {} leads out of the set; name a file in it", line.file_name)
                    }
                    _ => format!("no file {}; correct file_name", root.join(&line.file_name).display()),
                };
                DataError::metadata(&path, &number, reason)
            })?;
            listed.extend(names::normal(line.file_name.as_bytes()));
            let texts = match line.text {
                Text::One(text) => vec![text],
                Text::Many(texts) => texts,
            };
            let captions = text::clean(texts.iter().map(String::as_str))
                .ok_or_else(|| DataError::caption(&path, &line.file_name, "empty"))?;
            let key = text::key_of(&line.file_name).to_owned();
            let record = line.description.record(key, captions);
            found.push(Entry::new(record, line.file_name, Location::File(file)));
        }
        found.sort_by(|a, b| a.record.key.cmp(&b.record.key));
        if let Some(pair) = found.windows(2).find(|pair| pair[0].record.key == pair[1].record.key) {
            let reason = "a second line of the same key; give all its texts in one list";
            return Err(DataError::metadata(path, &pair[1].name, reason));
        }
        let passed = folder::unlisted(root, &listed)?;
        Ok(Index { entries: found, passed, ..Index::default() })
    }
}
