//! Hugging Face's imagefolder layout: `metadata.jsonl` beside the images.
use super::format::{Entry, Format, Index};
use super::text::{self, Description};
use crate::error::DataError;
use crate::record::Location;
use serde::Deserialize;
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
        let bytes = std::fs::read(&metadata).map_err(DataError::io(&metadata))?;
        let text = String::from_utf8(bytes).map_err(|_| DataError::caption(&path, METADATA, "not UTF-8"))?;
        let mut found = Vec::new();
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let number = format!("line {}", i + 1);
            let line: Line = serde_json::from_str(line).map_err(|e| {
                let expected = "{\"file_name\": \"a.png\", \"text\": \"a caption\" or [\"several\"]}";
                DataError::metadata(&path, &number, format!("{e}; expected {expected}")).because(e)
            })?;
            let file = root.join(&line.file_name);
            if !file.is_file() {
                let reason = format!("no file {}; correct file_name", file.display());
                return Err(DataError::metadata(&path, number, reason));
            }
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
        Ok(found.into())
    }
}
