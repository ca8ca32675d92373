//! What several formats share: captions, JSON descriptions, names of images.
use crate::error::DataError;
use crate::record::{COLOR_TAG, Record};
use serde::{Deserialize, Deserializer};

/// `FOLDER/NAME.jpg` without its extension.
pub(super) fn key_of(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(key, _)| key)
}

/// One caption per line; blank lines do not count.
///
/// # Errors
/// Not UTF-8, or nothing but blank lines.
pub(super) fn captions(path: &str, entry: &str, bytes: Vec<u8>) -> Result<Vec<String>, DataError> {
    let text = String::from_utf8(bytes).map_err(|_| DataError::caption(path, entry, "not UTF-8"))?;
    clean(text.trim_start_matches('\u{feff}').lines()).ok_or_else(|| DataError::caption(path, entry, "empty"))
}

/// Trimmed lines without the blank ones, if any is left.
pub(super) fn clean<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<String>> {
    let all: Vec<String> = lines.map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    (!all.is_empty()).then_some(all)
}

/// The fields of `KEY.json`, and of a line of `metadata.jsonl`, that are read; others are left to their readers.
#[derive(Default, Deserialize)]
pub(super) struct Description {
    class_id: Option<u32>,
    label: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    tags: Vec<String>,
    /// The label names a color: the tag [`COLOR_TAG`].
    #[serde(default, rename = "names_colour")]
    names_color: bool,
}

/// The texts of a list. Something else under this name is of another program.
fn texts<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    let serde_json::Value::Array(all) = serde_json::Value::deserialize(value)? else { return Ok(vec![]) };
    Ok(all.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect())
}

impl Description {
    /// Reads a JSON object; `path` and `entry` are for messages.
    ///
    /// # Errors
    /// Not JSON, or a field of another type.
    pub(super) fn read(path: &str, entry: &str, bytes: &[u8]) -> Result<Self, DataError> {
        serde_json::from_slice(bytes).map_err(|e| {
            let reason = format!(
                "not the JSON expected ({e}); `class_id` is a whole number, `names_colour` true or false"
            );
            DataError::metadata(path, entry, reason).because(e)
        })
    }

    /// The record of a key and its captions. [`COLOR_TAG`] is `names_colour` alone: the word among `tags` does not count.
    pub(super) fn record(self, key: String, captions: Vec<String>) -> Record {
        let Self { class_id, label, mut tags, names_color } = self;
        // Descriptions of other programs use the word for something else, and batches must not depend on it.
        tags.retain(|tag| tag != COLOR_TAG);
        if names_color {
            tags.push(COLOR_TAG.to_owned());
        }
        Record { key, captions, class_id, tags, label, part: None }
    }
}
