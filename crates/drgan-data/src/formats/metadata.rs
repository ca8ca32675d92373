//! Lists of pictures with captions, as Hugging Face's imagefolder layout has them: `metadata.jsonl`, `metadata.csv`.
use super::description::{CAPTIONS, Row};
use super::files::{self, LIST_BYTES};
use super::text;
use crate::error::DataError;
use crate::record::Split;
use drgan_tensor::internal::counted;
use std::path::{Path, PathBuf};

/// Names of lists that are read; where a folder has both, the first.
const LISTS: [&str; 2] = ["metadata.jsonl", "metadata.csv"];
/// What is said of a list in another encoding.
const NOT_UTF8: &str = "not UTF-8; write the list in UTF-8";
/// The name of a list that is not read.
const PARQUET: &str = "metadata.parquet";
/// A name that lists of one JSON array go by elsewhere; not read.
const ARRAY: &str = "metadata.json";
/// Fields that a picture is named in: Hugging Face's, and what others call it.
pub(super) const FILE_NAMES: [&str; 3] = ["file_name", "filename", "image"];
/// Names of folders that are parts of a set, as Hugging Face knows them. The first two are for training.
const PARTS: [&str; 11] = [
    "train",
    "training",
    "validation",
    "valid",
    "val",
    "dev",
    "test",
    "testing",
    "eval",
    "evaluation",
    "heldout",
];

/// A list of a set.
#[derive(Debug)]
pub(super) struct List {
    /// The list's own file.
    pub(super) path: PathBuf,
    /// What the names in it are below, in the set's folder: nothing, or `train/`.
    pub(super) below: String,
    /// The part that its folder is; none where the set has no other, or is not divided into folders.
    pub(super) part: Option<Split>,
}

/// The lists of the set at `root`: its own, else those of the folders of its parts, in it or in its folder `data`.
pub(super) fn lists(root: &Path) -> Vec<List> {
    let list = |below: String, part| {
        let folder = root.join(&below);
        let path = LISTS.iter().map(|name| folder.join(name)).find(|path| is_list(path));
        path.map(|path| List { path, below, part })
    };
    if let Some(own) = list(String::new(), None) {
        return vec![own];
    }
    let parts = |above: &str| -> Vec<List> {
        let part = |i| Some(if i < 2 { Split::Train } else { Split::HeldOut });
        PARTS.iter().enumerate().filter_map(|(i, name)| list(format!("{above}{name}/"), part(i))).collect()
    };
    let mut found = parts("");
    if found.is_empty() {
        found = parts("data/");
    }
    // With one part alone the set does not divide itself.
    if found.iter().all(|list| list.part == found[0].part) {
        found.iter_mut().for_each(|list| list.part = None);
    }
    found
}

/// Whether a file is a list: a table is one only if its columns are those of one.
fn is_list(path: &Path) -> bool {
    path.is_file() && (!is_table(path) || columns(path).is_ok())
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "csv")
}

/// Whether a path's last part is the name of a list, of a form that is read or not.
pub(super) fn is_named_as_list(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    LISTS.iter().chain([&PARQUET, &ARRAY]).any(|list| list.as_bytes() == name)
}

/// Why the lists at `root`, or in the folders of its parts, are none that are read; none where there are none.
pub(super) fn refused(root: &Path) -> Option<DataError> {
    let places = PARTS.iter().flat_map(|part| [root.join(part), root.join("data").join(part)]);
    let folders = || std::iter::once(root.to_owned()).chain(places.clone());
    let table = folders().map(|folder| folder.join(LISTS[1])).find(|path| path.is_file());
    if let Some(Err(e)) = table.map(|path| columns(&path)) {
        return Some(e);
    }
    if let Some(array) = folders().map(|folder| folder.join(ARRAY)).find(|path| path.is_file()) {
        let reason = "a list of this name is not read; call it metadata.jsonl";
        return Some(DataError::metadata(array.display(), ARRAY, reason));
    }
    // What a user gave is the folder above the set.
    let below = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    if let Some(folder) = below.filter(|folder| !lists(folder).is_empty()).min() {
        let reason =
            "a list is read in the set's own folder or in those of its parts; give the folder that it is in";
        return Some(DataError::metadata(
            root.display(),
            files::relative(root, &lists(&folder)[0].path),
            reason,
        ));
    }
    let parquet = folders().map(|folder| folder.join(PARQUET)).find(|path| path.is_file())?;
    let reason = "lists in Parquet are not read; write its rows as metadata.jsonl or metadata.csv";
    Some(DataError::metadata(parquet.display(), PARQUET, reason))
}

/// Takes every row of a list, with the words for where it is, such as `line 3`.
///
/// # Errors
/// A list that cannot be read; what `take` says of a row, with the file's name and the row's place.
pub(super) fn read(
    path: &Path,
    mut take: impl FnMut(&str, Row) -> Result<(), String>,
) -> Result<(), DataError> {
    let bytes = files::read(path, LIST_BYTES).map_err(DataError::io(path))?;
    let bytes = text::unmarked(&bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = String::from_utf8_lossy(&bytes[..e.valid_up_to()]);
        let line = text::numbered(&before).last().map_or(1, |(number, _)| number);
        DataError::metadata(path.display(), format!("line {line}"), NOT_UTF8).because(e)
    })?;
    let mut taken = |place: String, row: Row| {
        take(&place, row).map_err(|reason| DataError::metadata(path.display(), place, reason))
    };
    if is_table(path) {
        return table(path, text, taken);
    }
    if text.trim_start().starts_with('[') {
        // The whole file is one array, as a program writes it that does not know of lines.
        let rows: Vec<Row> = serde_json::from_str(text).map_err(|e| {
            DataError::metadata(path.display(), format!("line {}", e.line()), json_fault(&e)).because(e)
        })?;
        return rows.into_iter().enumerate().try_for_each(|(i, row)| taken(format!("item {}", i + 1), row));
    }
    for (number, line) in text::numbered(text).filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("line {number}");
        let row = Row::of_json(line.as_bytes())
            .map_err(|e| DataError::metadata(path.display(), &place, json_fault(&e)).because(e))?;
        taken(place, row)?;
    }
    Ok(())
}

/// What is wrong with a line of JSON, with the column; the line is the file's, not the one that `e` counts.
fn json_fault(e: &serde_json::Error) -> String {
    let (said, at) = (e.to_string(), format!(" at line {} column {}", e.line(), e.column()));
    let said = said.strip_suffix(&at).unwrap_or(&said);
    format!(
        "not JSON, or not an object in one line: {said}, column {}; expected {{\"file_name\": \"a.png\", \"text\": \"a \
         caption\"}}, or [\"several\"]",
        e.column()
    )
}

fn reader<R: std::io::Read>(from: R) -> csv::Reader<R> {
    csv::ReaderBuilder::new().from_reader(from)
}

/// Takes every row of a table.
fn table(
    path: &Path,
    text: &str,
    mut taken: impl FnMut(String, Row) -> Result<(), DataError>,
) -> Result<(), DataError> {
    // Line numbers are counted here: the reader of tables counts line feeds alone.
    let (bytes, mut seen, mut line) = (text.as_bytes(), 0, 1);
    let mut place = |byte: u64| {
        let mut byte = usize::try_from(byte).unwrap_or(bytes.len()).clamp(seen, bytes.len());
        // A row may be said to begin at the end of the line before it, or at blank lines.
        while matches!(bytes.get(byte), Some(b'\r' | b'\n')) {
            byte += 1;
        }
        line += line_ends(&bytes[seen..byte]);
        seen = byte;
        format!("line {line}")
    };
    if let Some((line, reason)) = stray_quote(text) {
        return Err(DataError::metadata(path.display(), format!("line {line}"), reason));
    }
    let columns = columns(path)?;
    for row in reader(text.as_bytes()).records() {
        let row = row.map_err(|e| {
            let reason = match e.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!(
                    "{} for {}; put a caption that has commas into quotes: \"red, and round\"",
                    counted(*len, "value[|s]"),
                    counted(*expected_len, "column[|s]")
                ),
                _ => e.to_string(),
            };
            let place = place(e.position().map_or(0, csv::Position::byte));
            DataError::metadata(path.display(), place, reason).because(e)
        })?;
        let place = place(row.position().map_or(0, csv::Position::byte));
        taken(place, Row::of_table(columns.iter().map(String::as_str).zip(&row)))?;
    }
    Ok(())
}

/// The line of a quote that is left open or is followed by text, and what to do; the reader of tables would take what comes next
/// into the value, other rows included.
fn stray_quote(text: &str) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    let (mut at, mut begins) = (0, true);
    while let Some(byte) = bytes.get(at) {
        let opened = at;
        at += 1;
        if *byte != b'"' || !begins {
            begins = matches!(byte, b',' | b'\r' | b'\n');
            continue;
        }
        begins = false;
        let closed = loop {
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(b'"'), Some(b'"')) => at += 2, // one quote of the value
                (Some(b'"'), after) => break Some(matches!(after, None | Some(b',' | b'\r' | b'\n'))),
                (Some(_), _) => at += 1,
                (None, _) => break None,
            }
        };
        at += 1;
        let line = || line_ends(&bytes[..opened]) + 1;
        match closed {
            Some(true) => {}
            Some(false) => {
                return Some((line(), "text follows a closing quote; write a quote in a value twice: \"\""));
            }
            None => return Some((line(), "a quote is not closed; write a quote in a value twice: \"\"")),
        }
    }
    None
}

/// How many lines end in `bytes`: with a line feed, a carriage return or both.
fn line_ends(bytes: &[u8]) -> usize {
    let feeds = bytes.iter().filter(|byte| **byte == b'\n').count();
    let returns =
        bytes.iter().enumerate().filter(|(i, byte)| **byte == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
    feeds + returns.count()
}

/// The columns of a table, in lower case.
///
/// # Errors
/// A table that cannot be read, or without a column for the picture's name or for captions.
fn columns(path: &Path) -> Result<Vec<String>, DataError> {
    let bad = |reason: String| DataError::metadata(path.display(), "line 1", reason);
    let file = files::open(path).map_err(DataError::io(path))?;
    // The first line is all that is read; a file without an end of line is not read to its end for it.
    let mut reader = reader(std::io::Read::take(file, files::TEXT_BYTES));
    let header = reader.headers().map_err(|e| {
        let reason = match e.kind() {
            csv::ErrorKind::Utf8 { .. } => NOT_UTF8.to_owned(),
            _ => e.to_string(),
        };
        bad(reason).because(e)
    })?;
    let named = |column: &str| text::trimmed(column).to_ascii_lowercase();
    let columns: Vec<String> = header.iter().map(named).collect();
    for (what, names) in [("the picture's name", &FILE_NAMES[..]), ("captions", &CAPTIONS[..])] {
        if !columns.iter().any(|column| names.contains(&column.as_str())) {
            let hint = match columns.iter().any(|column| column.contains([';', '\t'])) {
                true => "; columns are separated by commas",
                false => "",
            };
            let (names, columns) = (names.join("`, `"), columns.join("`, `"));
            return Err(bad(format!("no column for {what} (`{names}`) among `{columns}`{hint}")));
        }
    }
    Ok(columns)
}
