//! A sink that writes events as lines of JSON.
use super::event::{Event, Sink};
use drgan_tensor::{Error, Result};
use std::io::Write;
use std::path::Path;

/// One JSON object per line, appended and flushed at once.
pub struct Jsonl {
    out: Option<Box<dyn Write + Send>>,
    name: String,
}

impl std::fmt::Debug for Jsonl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jsonl").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Jsonl {
    /// Appends to `path`, which a resumed run continues.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|e| Error::file_because(path, "cannot be opened", e))?;
        Ok(Self { out: Some(Box::new(file)), name: path.display().to_string() })
    }
}

impl Sink for Jsonl {
    fn event(&mut self, event: &Event) -> Option<String> {
        let out = self.out.as_mut()?;
        let line = serde_json::to_string(event).map_err(std::io::Error::from);
        let e =
            line.and_then(|l| out.write_all(format!("{l}\n").as_bytes()).and_then(|()| out.flush())).err()?;
        self.out = None;
        Some(format!("{}: cannot be written, no more is logged there: {e}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_and_a_full_disk_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let e = Event::PhaseStarted { name: "train".into(), total: 3 };
        for _ in 0..2 {
            assert_eq!(Jsonl::open(&path).unwrap().event(&e), None);
        }
        let line = r#"{"event":"phase_started","name":"train","total":3}"#;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{line}\n{line}\n"));
        if Path::new("/dev/full").exists() {
            let mut full = Jsonl::open(Path::new("/dev/full")).unwrap();
            assert!(full.event(&e).unwrap().contains("/dev/full"));
            assert_eq!(full.event(&e), None);
        }
    }
}
