//! Folders of pictures, and what the formats share: captions and descriptions.
use super::webdataset::PICTURES;
use crate::DataError;
use crate::dataset::{Found, Place};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The fields of `KEY.json` this program reads; others are left to their readers.
#[derive(Default, Deserialize)]
pub(crate) struct Description {
    pub(crate) class_id: Option<u32>,
    pub(crate) label: Option<String>,
    #[serde(default)]
    pub(crate) names_colour: bool,
}

/// A line of HF imagefolder's `metadata.jsonl`.
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

/// One caption a line; blank lines do not count.
pub(crate) fn captions(path: &str, entry: &str, bytes: Vec<u8>) -> Result<Vec<String>, DataError> {
    let bad = |reason: &str| DataError::Caption {
        path: path.to_owned(),
        entry: entry.to_owned(),
        reason: reason.to_owned(),
    };
    let text = String::from_utf8(bytes).map_err(|_| bad("not UTF-8"))?;
    clean(text.trim_start_matches('\u{feff}').lines()).ok_or_else(|| bad("empty"))
}

pub(crate) fn clean<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<String>> {
    let all: Vec<String> = lines.map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    (!all.is_empty()).then_some(all)
}

pub(crate) fn description(path: &str, entry: &str, bytes: &[u8]) -> Result<Description, DataError> {
    serde_json::from_slice(bytes).map_err(|e| DataError::Metadata {
        path: path.to_owned(),
        entry: entry.to_owned(),
        reason: format!(
            "not the JSON expected ({e}); `class_id` is a whole number, `names_colour` true or false"
        ),
    })
}

/// Reads the index of a folder: `metadata.jsonl`, else a `.txt` beside each picture, in sub-folders too.
pub(crate) fn index(root: &Path) -> Result<Vec<Found>, DataError> {
    let metadata = root.join("metadata.jsonl");
    if metadata.is_file() {
        return from_metadata(root, &metadata);
    }
    let mut pictures = Vec::new();
    walk(root, &mut pictures)?;
    pictures.sort();
    let mut found: Vec<Found> = Vec::new();
    let mut bare = None;
    for picture in pictures {
        let name = relative(root, &picture);
        let beside = picture.with_extension("txt");
        if !beside.is_file() {
            bare = bare.or(Some(name));
            continue;
        }
        let shown = root.display().to_string();
        let bytes = std::fs::read(&beside).map_err(DataError::io(&beside))?;
        let captions = captions(&shown, &relative(root, &beside), bytes)?;
        let key = relative(root, &picture.with_extension(""));
        if found.last().is_some_and(|f| f.key == key) {
            let reason = format!("two pictures share `{key}.txt`; rename one");
            return Err(DataError::Metadata { path: shown, entry: name, reason });
        }
        found.push(Found {
            key,
            name,
            place: Place::File(picture),
            captions,
            description: Description::default(),
            part: None,
            bird: None,
        });
    }
    match bare {
        _ if found.is_empty() => Err(DataError::NoCaptions { path: root.to_owned() }),
        Some(entry) => Err(DataError::Caption {
            path: root.display().to_string(),
            entry,
            reason: "no .txt beside it".to_owned(),
        }),
        None => Ok(found),
    }
}

fn from_metadata(root: &Path, metadata: &Path) -> Result<Vec<Found>, DataError> {
    let path = metadata.display().to_string();
    let bad = |entry: &str, reason: String| DataError::Metadata {
        path: path.clone(),
        entry: entry.to_owned(),
        reason,
    };
    let bytes = std::fs::read(metadata).map_err(DataError::io(metadata))?;
    let text = String::from_utf8(bytes).map_err(|_| DataError::Caption {
        path: path.clone(),
        entry: "metadata.jsonl".to_owned(),
        reason: "not UTF-8".to_owned(),
    })?;
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let number = format!("line {}", i + 1);
        let line: Line = serde_json::from_str(line).map_err(|e| {
            bad(
                &number,
                format!(
                    "{e}; expected {{\"file_name\": \"a.png\", \"text\": \"a caption\" or [\"several\"]}}"
                ),
            )
        })?;
        let file = root.join(&line.file_name);
        if !file.is_file() {
            return Err(bad(&number, format!("no file {}; correct file_name", file.display())));
        }
        let texts = match line.text {
            Text::One(text) => vec![text],
            Text::Many(texts) => texts,
        };
        let captions = clean(texts.iter().map(String::as_str)).ok_or_else(|| DataError::Caption {
            path: path.clone(),
            entry: line.file_name.clone(),
            reason: "empty".to_owned(),
        })?;
        let key = line.file_name.rsplit_once('.').map_or(&*line.file_name, |(k, _)| k).to_owned();
        let (name, place) = (line.file_name, Place::File(file));
        let description = line.description;
        found.push(Found { key, name, place, captions, description, part: None, bird: None });
    }
    found.sort_by(|a: &Found, b| a.key.cmp(&b.key));
    match found.windows(2).find(|w| w[0].key == w[1].key) {
        Some(w) => {
            Err(bad(&w[1].name, "a second line of the same key; give all its texts in one list".to_owned()))
        }
        None => Ok(found),
    }
}

fn relative(root: &Path, file: &Path) -> String {
    let parts = file.strip_prefix(root).unwrap_or(file).components();
    parts.map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn walk(folder: &Path, pictures: &mut Vec<PathBuf>) -> Result<(), DataError> {
    for entry in std::fs::read_dir(folder).map_err(DataError::io(folder))? {
        let path = entry.map_err(DataError::io(folder))?.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        if path.is_dir() {
            walk(&path, pictures)?;
        } else if extension.is_some_and(|e| PICTURES.contains(&e.as_str())) {
            pictures.push(path);
        }
    }
    Ok(())
}
