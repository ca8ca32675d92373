//! Captions from a file, one after another: a text file with a caption per line, or JSON lines.
use drgan_tensor::{Error, Result, file};
use serde_json::Value;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Most bytes of a line: what is longer is no caption.
const LONGEST: u64 = 1 << 20;

/// The captions of a file, read as they are asked for. Blank lines are passed over.
///
/// The lines of a file `.jsonl` or `.ndjson` are JSON: a text, or an object with a caption, or a list of captions, under `text`, `caption`
/// or `captions`.
pub struct Captions {
    path: PathBuf,
    lines: Box<dyn BufRead + Send>,
    number: usize,
    json: bool,
    /// Captions of a line that were not asked for yet, the next one last.
    rest: Vec<String>,
}

impl Captions {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::File`]: what the file system reports.
    pub fn open(path: &Path) -> Result<Self> {
        let json = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("jsonl") || e.eq_ignore_ascii_case("ndjson"));
        let lines = Box::new(BufReader::new(file::open(path)?));
        Ok(Self { path: path.to_owned(), lines, number: 0, json, rest: Vec::new() })
    }

    /// A text with a caption per line, as a pipe brings it; `name` stands for the file in errors.
    pub fn of_text(text: impl Read + Send + 'static, name: &str) -> Self {
        let lines = Box::new(BufReader::new(text));
        Self { path: name.into(), lines, number: 0, json: false, rest: Vec::new() }
    }

    /// The next line, without its end; none at the end of the file.
    fn line(&mut self) -> Result<Option<String>> {
        let unread = |e: std::io::Error| Error::file_because(&self.path, "cannot be read", e);
        let mut bytes = Vec::new();
        Read::take(&mut self.lines, LONGEST).read_until(b'\n', &mut bytes).map_err(unread)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if bytes.len() as u64 == LONGEST {
            return Err(self.wrong("is longer than 1 MiB"));
        }
        let bytes = match self.number {
            1 => bytes.strip_prefix(b"\xef\xbb\xbf").map_or(bytes.as_slice(), |rest| rest).to_vec(),
            _ => bytes,
        };
        match String::from_utf8(bytes) {
            Ok(line) => Ok(Some(line.trim().to_owned())),
            Err(_) => Err(self.wrong("is not UTF-8")),
        }
    }

    fn wrong(&self, what: &str) -> Error {
        Error::file(&self.path, format!("line {} {what}", self.number))
    }

    /// The captions of a line of JSON, in their order.
    fn of_json(&self, line: &str) -> Result<Vec<String>> {
        let value: Value =
            serde_json::from_str(line).map_err(|e| self.wrong(&format!("is not JSON: {e}")))?;
        let found = match &value {
            Value::Object(fields) => {
                ["text", "caption", "captions"].into_iter().find_map(|name| fields.get(name))
            }
            value => Some(value),
        };
        let texts = match found {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(all)) => {
                let texts: Option<Vec<&String>> = all
                    .iter()
                    .map(|value| if let Value::String(text) = value { Some(text) } else { None })
                    .collect();
                texts.ok_or_else(|| self.wrong("has a list that holds something else than captions"))?
            }
            _ => return Err(self.wrong("has no caption: a text, or `text`, `caption` or `captions`")),
        };
        Ok(texts.into_iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect())
    }
}

impl fmt::Debug for Captions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captions")
            .field("path", &self.path)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Iterator for Captions {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        loop {
            if let Some(caption) = self.rest.pop() {
                return Some(Ok(caption));
            }
            let found = match self.line().transpose()? {
                Ok(line) if line.is_empty() => continue,
                Ok(line) if self.json => self.of_json(&line),
                Ok(line) => Ok(vec![line]),
                Err(e) => Err(e),
            };
            match found {
                Ok(captions) => self.rest = captions.into_iter().rev().collect(),
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        Captions::open(&path)?.collect()
    }

    #[test]
    fn lines_are_captions_whatever_ends_them() -> Result<()> {
        let text = "\u{feff}a red heart\r\n\n  a blue square \nein grünes Herz";
        assert_eq!(read("list.txt", text.as_bytes())?, ["a red heart", "a blue square", "ein grünes Herz"]);
        assert_eq!(read("list", b"")?, [""; 0]);
        Ok(())
    }

    #[test]
    fn a_text_without_a_file_is_read_alike_and_named_in_errors() {
        let read =
            |bytes: &'static [u8]| Captions::of_text(bytes, "standard input").collect::<Result<Vec<_>>>();
        assert_eq!(
            read(b"a red heart\n\na cat").ok(),
            Some(vec!["a red heart".to_owned(), "a cat".to_owned()])
        );
        let e = read(b"a\n\xff").expect_err("no text").to_string();
        assert!(e.contains("standard input") && e.contains("line 2"), "{e}");
    }

    #[test]
    fn json_lines_are_texts_or_objects() -> Result<()> {
        let text = r#"{"text": "a red heart", "file_name": "a.png"}
            "a \"blue\" square"

            {"caption": "cat"}
            {"captions": ["dog", " ", "bird"]}"#;
        assert_eq!(
            read("list.JSONL", text.as_bytes())?,
            ["a red heart", "a \"blue\" square", "cat", "dog", "bird"]
        );
        Ok(())
    }

    #[test]
    fn what_is_no_caption_is_named_by_its_line() {
        for (name, bytes, what) in [
            ("a.txt", &b"a\n\xff\xfe"[..], "line 2 is not UTF-8"),
            ("a.jsonl", b"\"a\"\n{", "line 2 is not JSON"),
            ("a.jsonl", b"{\"label\": 3}", "line 1 has no caption"),
            ("a.jsonl", b"{\"text\": [1]}", "line 1 has a list"),
            ("a.txt", &vec![b'a'; 2 << 20], "line 1 is longer"),
        ] {
            let said = read(name, bytes).expect_err(what).to_string();
            assert!(said.contains(what) && said.contains(name), "{said}");
        }
    }
}
