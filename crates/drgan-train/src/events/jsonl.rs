//! A sink that writes events as lines of JSON; docs/log.md says what stands in them.
use super::event::{Event, Sink};
use drgan_tensor::internal::shown;
use drgan_tensor::{Error, Result};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

/// One flat JSON object per line, appended and flushed at once: when, what, where in the run, then the event's own numbers.
pub struct Jsonl {
    out: Option<Box<dyn Write + Send>>,
    name: String,
    /// The phase and the step of the newest event that names them, which lines of other events have too.
    phase: Option<String>,
    step: Option<u64>,
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
        Ok(Self::to(file.map_err(|e| Error::file_because(path, "cannot be opened", e))?, path))
    }

    /// Appends to an open file; `path` is named where it cannot be written.
    pub fn to(file: File, path: &Path) -> Self {
        Self { out: Some(Box::new(file)), name: shown(path).to_string(), phase: None, step: None }
    }

    /// The event at `time`, in seconds since 1970 began in UTC.
    fn line(&mut self, event: &Event, time: f64) -> Line {
        match event {
            Event::PhaseStarted { name, step, .. } => {
                (self.phase, self.step) = (Some(name.clone()), Some(*step));
            }
            Event::Progress { phase, step, .. } => {
                (self.phase, self.step) = (Some(phase.clone()), Some(*step));
            }
            Event::Images { step, .. } | Event::Checkpoint { step, .. } | Event::Evaluation { step, .. } => {
                self.step = Some(*step);
            }
            Event::PhaseEnded { name } => self.phase = Some(name.clone()),
            Event::Message { .. } | Event::Warning { .. } => {}
        }
        let mut line = Line::default();
        line.number("time", (time * 1000.).round() / 1000.);
        line.push("event", event.name());
        line.push("phase", self.phase.as_deref());
        line.push("step", self.step);
        match event {
            Event::PhaseStarted { total, .. } => line.push("total", *total),
            Event::Progress { total, images, scalars, rates, images_per_s, eta, .. } => {
                line.push("total", *total);
                line.push("images", *images);
                line.number("images_per_s", *images_per_s);
                eta.iter().for_each(|eta| line.number("eta", *eta));
                rates.iter().chain(scalars).for_each(|(name, value)| line.number(name, *value));
            }
            Event::Evaluation { scores, missing, .. } => {
                scores.iter().for_each(|(name, value)| line.number(name, *value));
                if !missing.is_empty() {
                    line.push("not_measured", missing.join("; "));
                }
            }
            Event::Images { tag, path, .. } => {
                line.push("tag", tag.as_str());
                line.push("path", path.display().to_string());
            }
            Event::Checkpoint { path, .. } => line.push("path", path.display().to_string()),
            Event::Message { text } | Event::Warning { text } => line.push("text", text.as_str()),
            Event::PhaseEnded { .. } => {}
        }
        line
    }
}

/// The keys of a line with their values, in the order to write them, and the numbers that JSON has no words for.
#[derive(Default)]
struct Line(Vec<(String, Value)>, Vec<String>);

impl Line {
    fn push(&mut self, key: &str, value: impl Into<Value>) {
        self.0.push((key.to_owned(), value.into()));
    }

    /// JSON has neither NaN nor infinity: null stands for them, and a note says what it was.
    fn number(&mut self, key: &str, value: f64) {
        if !value.is_finite() {
            self.1.push(format!("{key} is {value}"));
        }
        self.push(key, value);
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let note = (!self.1.is_empty()).then(|| ("not_finite".to_owned(), Value::from(self.1.join(", "))));
        to.collect_map(self.0.iter().cloned().chain(note))
    }
}

impl Sink for Jsonl {
    fn event(&mut self, event: &Event) -> Option<String> {
        let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let line = serde_json::to_string(&self.line(event, time.as_secs_f64())).map_err(std::io::Error::from);
        let out = self.out.as_mut()?;
        let e =
            line.and_then(|l| out.write_all(format!("{l}\n").as_bytes()).and_then(|()| out.flush())).err()?;
        self.out = None;
        Some(format!("{}: cannot be written, no more is logged there: {e}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log that is kept nowhere.
    fn log() -> Jsonl {
        Jsonl { out: None, name: String::new(), phase: None, step: None }
    }

    #[test]
    fn lines_are_flat_and_say_when_and_where() {
        let mut log = log();
        let mut said = |event: Event| serde_json::to_string(&log.line(&event, 1.0006)).unwrap();
        let text = "run folder a".to_owned();
        assert_eq!(
            said(Event::Message { text: text.clone() }),
            r#"{"time":1.001,"event":"message","phase":null,"step":null,"text":"run folder a"}"#
        );
        assert_eq!(
            said(Event::PhaseStarted { name: "gan".into(), total: 9, step: 2 }),
            r#"{"time":1.001,"event":"phase_started","phase":"gan","step":2,"total":9}"#
        );
        let progress = Event::Progress {
            phase: "gan".into(),
            step: 3,
            total: 9,
            images: 48,
            scalars: vec![("d16".into(), 0.5), ("kl".into(), f64::NAN), ("g16".into(), f64::NEG_INFINITY)],
            rates: vec![("lr".into(), 2e-4)],
            images_per_s: 8.5,
            eta: None,
        };
        assert_eq!(
            said(progress),
            r#"{"time":1.001,"event":"progress","phase":"gan","step":3,"total":9,"images":48,"images_per_s":8.5,"lr":0.0002,"d16":0.5,"kl":null,"g16":null,"not_finite":"kl is NaN, g16 is -inf"}"#
        );
        assert_eq!(
            said(Event::Warning { text }),
            r#"{"time":1.001,"event":"warning","phase":"gan","step":3,"text":"run folder a"}"#
        );
        assert_eq!(
            said(Event::Evaluation {
                step: 9,
                scores: vec![("kid".into(), 1.5)],
                missing: vec!["real: none".into(), "hue, lab: no prompts".into()]
            }),
            r#"{"time":1.001,"event":"evaluation","phase":"gan","step":9,"kid":1.5,"not_measured":"real: none; hue, lab: no prompts"}"#
        );
    }

    #[test]
    fn lines_are_appended_and_a_full_disk_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let e = Event::PhaseStarted { name: "train".into(), total: 3, step: 0 };
        for _ in 0..2 {
            assert_eq!(Jsonl::open(&path).unwrap().event(&e), None);
        }
        let lines = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            lines.matches(r#""event":"phase_started","phase":"train","step":0,"total":3}"#).count(),
            2
        );
        assert!(lines.ends_with("}\n"), "{lines}");
        let mut full = Jsonl { out: Some(Box::new(Full)), name: "a/log.jsonl".to_owned(), ..log() };
        assert!(full.event(&e).unwrap().contains("a/log.jsonl: cannot be written"));
        assert_eq!(full.event(&e), None);
    }

    /// A disk without room.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
