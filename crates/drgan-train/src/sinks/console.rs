#![allow(clippy::print_stderr, reason = "the one place that talks to the user")]
use crate::events::{Event, Sink, format_duration};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// A progress line on a terminal, else a plain line about every ten seconds; all to stderr.
pub struct Console {
    terminal: bool,
    bar: Option<ProgressBar>,
    last: Option<Instant>,
}

impl Default for Console {
    fn default() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), bar: None, last: None }
    }
}

const EVERY: Duration = Duration::from_secs(10);

/// The event as one line.
fn line(event: &Event) -> String {
    match event {
        Event::PhaseStarted { name, total } => format!("{name}: {total} steps"),
        Event::Progress { phase, step, total, images, scalars, images_per_s, eta } => {
            let mut s = format!("{phase} {step}/{total}  {images} images");
            scalars.iter().for_each(|(n, v)| s += &format!("  {n} {v:.3}"));
            s += &format!("  {images_per_s:.1} images/s");
            eta.iter().for_each(|e| s += &format!("  {} left", format_duration(*e)));
            s
        }
        Event::Images { tag, path, .. } => format!("{tag}: {}", path.display()),
        Event::Checkpoint { step, path } => format!("checkpoint after step {step}: {}", path.display()),
        Event::Message { text } => text.clone(),
        Event::Warning { text } => format!("warning: {text}"),
        Event::PhaseEnded { name } => format!("{name}: finished"),
        Event::Done { step, seconds } => format!("done: {step} steps in {}", format_duration(*seconds)),
    }
}

impl Sink for Console {
    fn event(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::PhaseStarted { total, .. } if self.terminal => {
                let bar = ProgressBar::new(*total);
                if let Ok(style) = ProgressStyle::with_template("{bar:20} {msg}") {
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
                    bar.set_message(line(event));
                    return None;
                }
                if step < total && self.last.is_some_and(|t| t.elapsed() < EVERY) {
                    return None;
                }
                self.last = Some(Instant::now());
            }
            _ => {}
        }
        match &self.bar {
            Some(bar) => bar.println(line(event)),
            None => eprintln!("{}", line(event)),
        }
        None
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
            scalars: vec![("d".into(), 1.25), ("g".into(), -0.5)],
            images_per_s: 8.04,
            eta: Some(200.),
        };
        assert_eq!(line(&e), "train 3/10  48 images  d 1.250  g -0.500  8.0 images/s  3 min 20 s left");
    }
}
