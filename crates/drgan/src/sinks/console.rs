//! Events as lines of a terminal.
use drgan_tensor::internal::{counted, escaped, shown};
use drgan_terminal::{printable, try_remark};
use drgan_train::events::{Event, Sink, format_duration};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// A progress line on a terminal, else a plain line about every ten seconds; all to stderr, until that cannot be written.
#[derive(Debug)]
pub(crate) struct Console {
    terminal: bool,
    bar: Option<ProgressBar>,
    last: Option<Instant>,
    closed: bool,
}

impl Default for Console {
    fn default() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), bar: None, last: None, closed: false }
    }
}

const EVERY: Duration = Duration::from_secs(10);

/// The stages' numbers of one kind as their mean, `d16`, `d32` and `d64` as `d`, so that a line holds them; the log has
/// them one by one.
fn grouped(scalars: &[(String, f64)]) -> Vec<(&str, f64)> {
    let mut groups: Vec<(&str, f64, f64)> = Vec::new();
    for (name, value) in scalars {
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
        match groups.iter_mut().find(|(k, ..)| *k == kind) {
            Some((_, sum, n)) => (*sum, *n) = (*sum + value, *n + 1.),
            None => groups.push((kind, *value, 1.)),
        }
    }
    groups.into_iter().map(|(kind, sum, n)| (kind, sum / n)).collect()
}

/// The event as one line.
fn line(event: &Event) -> String {
    match event {
        Event::PhaseStarted { name, total, .. } => format!("{name}: {total} in all"),
        Event::Progress { phase, step, total, images, scalars, images_per_s, eta, .. } => {
            // What matters most comes first: a narrow terminal cuts the end.
            let mut s = format!("{phase} {step}/{total}");
            eta.iter().for_each(|e| s += &format!("  {} left", format_duration(*e)));
            s += &format!("  {images_per_s:.1} images/s");
            grouped(scalars).iter().for_each(|(n, v)| s += &format!("  {n} {v:.2}"));
            s += &format!("  {}", counted(*images, "image[|s]"));
            s
        }
        Event::Images { tag, path, .. } => format!("{tag}: {}", shown(path)),
        Event::Checkpoint { step, path } => format!("checkpoint after step {step}: {}", shown(path)),
        Event::Message { text } => escaped(text).to_string(),
        Event::Warning { text } => format!("warning: {}", escaped(text)),
        Event::PhaseEnded { name } => format!("{name}: finished"),
        // An event that this program has no words for is shown as it is.
        other => format!("{other:?}"),
    }
}

impl Sink for Console {
    fn event(&mut self, event: &Event) -> Option<String> {
        if self.closed {
            return None;
        }
        match event {
            Event::PhaseStarted { total, .. } if self.terminal => {
                let bar = ProgressBar::new(*total);
                if let Ok(style) = ProgressStyle::with_template("{bar:16} {wide_msg}") {
                    bar.set_style(style);
                }
                self.bar = Some(bar);
                return None;
            }
            Event::PhaseEnded { .. } => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
            }
            Event::Progress { step, total, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(*step);
                    bar.set_message(printable(&line(event)));
                    return None;
                }
                if step < total && self.last.is_some_and(|t| t.elapsed() < EVERY) {
                    return None;
                }
                self.last = Some(Instant::now());
            }
            // For programs; in words it is told by a message, or in a table at the end.
            Event::Evaluation { .. } => return None,
            _ => {}
        }
        match &self.bar {
            Some(bar) => {
                bar.println(printable(&line(event)));
                None
            }
            None => {
                let e = try_remark(line(event)).err()?;
                self.closed = true;
                Some(format!("stderr: cannot be written, no more is shown there: {e}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_progress_line_says_everything() {
        let e = Event::Progress {
            phase: "train".into(),
            step: 3,
            total: 10,
            images: 48,
            scalars: vec![("d16".into(), 1.), ("d32".into(), 1.5), ("g".into(), -0.5)],
            rates: vec![("lr".into(), 2e-4)],
            images_per_s: 8.04,
            eta: Some(200.),
        };
        assert_eq!(line(&e), "train 3/10  3 min 20 s left  8.0 images/s  d 1.25  g -0.50  48 images");
    }

    #[test]
    fn an_event_is_one_line_whatever_names_are_in_it() {
        let warning = Event::Warning { text: "a\nerror: b".to_owned() };
        assert_eq!(line(&warning), r"warning: a\nerror: b");
        let images = Event::Images { tag: "samples".to_owned(), step: 1, path: "a\r\nb.png".into() };
        assert_eq!(line(&images), r"samples: a\r\nb.png");
    }
}
