//! `cargo xtask bench --peer`: our programs beside the same network in PyTorch (benches/pytorch), run by run.
mod sample;
mod side;
mod table;

use crate::measure::bystanders::Watch;
use crate::measure::{self, Pace, machine};
use crate::{environment, run};
use anyhow::{Context, Result, bail};
use clap::Args;
use drgan_terminal::{remark, result};
use side::Side;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use table::Line;

/// How the comparison is run.
#[derive(Args)]
pub(crate) struct Options {
    /// A Python that has PyTorch and safetensors, instead of a virtual environment under target/.
    #[arg(long, value_name = "FILE", requires = "peer", conflicts_with = "growth")]
    python: Option<PathBuf>,
}

/// A line of the table that both sides run.
struct Row {
    name: &'static str,
    runs: u16,
    /// Iterations one behind the other that a run is: several where it is their rate that counts.
    times: u16,
    /// Most that this program may take of the peer's time.
    target: Option<f64>,
    /// Most of the peer's peak memory that this program may take.
    memory: Option<f64>,
    images: Option<u32>,
}

const fn row(name: &'static str, runs: u16, target: Option<f64>) -> Row {
    Row { name, runs, times: 1, target, memory: None, images: None }
}

const ROWS: [Row; 6] = [
    row("image-1", 10, Some(0.45)),
    row("image-1-compiled", 10, None), // the peer under torch.compile
    row("image-16", 5, Some(0.40)),
    row("image-1-bf16", 10, Some(1.0)),
    Row { memory: Some(0.8), ..row("step-4", 5, Some(0.70)) },
    Row { times: 4, images: Some(16), ..row("emoji-64", 5, Some(1. / 1.5)) },
];
/// Of our bf16 to the peer's f32.
const BF16_TO_F32: f64 = 0.3;
/// Without a peer: the program from its start to the first image.
const SAMPLE_START: &str = "sample-start";

/// An idle side's threads have stopped spinning after it.
const PAUSE: Duration = Duration::from_millis(250);

/// What the rows share.
struct Setting {
    program: PathBuf,
    python: PathBuf,
    threads: u16,
    /// Overrides each row's own.
    runs: Option<u16>,
}

impl Options {
    /// Measures `rows`, all where none is named, and prints the table.
    pub(crate) fn run(&self, pace: Pace, rows: &[String]) -> Result<ExitCode> {
        let all: Vec<&str> = ROWS.iter().map(|r| r.name).chain([SAMPLE_START]).collect();
        if let Some(other) = rows.iter().find(|r| !all.contains(&r.as_str())) {
            bail!("no row is called `{other}`: there are {}", all.join(", "))
        }
        let asked = |name: &str| rows.is_empty() || rows.iter().any(|r| r == name);
        let python = self.python.clone().map_or_else(|| environment::python(&environment::PYTORCH), Ok)?;
        let torch = environment::torch(&python)?;
        let threads = pace.threads();
        let setting = Setting { program: run::build("drgan-peer")?, python, threads, runs: pace.runs };

        let (mut lines, mut failed) = (Vec::new(), Vec::new());
        for row in ROWS.iter().filter(|r| asked(r.name)) {
            match setting.measure(row) {
                Ok(line) => lines.push(line),
                Err(e) => failed.push(format!("{}: {e:#}", row.name)),
            }
        }
        lines.extend(bf16_to_f32(&lines));
        if asked(SAMPLE_START) {
            match setting.sample_start() {
                Ok(line) => lines.push(line),
                Err(e) => failed.push(format!("{SAMPLE_START}: {e:#}")),
            }
        }
        let machine = machine::describe(threads, &format!("; PyTorch {torch}"));
        let failures: String = failed.iter().map(|why| format!("not measured: {why}\n")).collect();
        result(format!("{machine}\n\n{}\n{failures}", table::markdown(&lines)))?;
        Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Setting {
    /// A program with `THREADS DIR` behind its row, its threads pinned.
    fn side(&self, program: &Path, before: &[&Path], row: &str, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(before).arg(row).arg(self.threads.to_string()).arg(dir);
        measure::pin(&mut command, self.threads);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Both sides of a row, compared with each other, then timed by turns.
    fn measure(&self, row: &Row) -> Result<Line> {
        let dir = run::root().join("target/peer").join(row.name);
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        remark(format!("{}: building both sides", row.name));
        let mut drgan = Side::start("our side", self.side(&self.program, &[], row.name, &dir))?;
        let script = run::root().join("benches/pytorch");
        let mut peer = Side::start("PyTorch", self.side(&self.python, &[&script], row.name, &dir))?;
        let mut compare = Command::new(&self.program);
        compare.args(["compare", row.name]).arg(&dir);
        let compared = compare.output().with_context(|| format!("could not start {compare:?}"))?;
        if !compared.status.success() {
            remark(format!(
                "{}{}",
                String::from_utf8_lossy(&compared.stdout),
                String::from_utf8_lossy(&compared.stderr)
            ));
            bail!("the two sides do not compute the same, so they are not timed: see above")
        }
        let mut line = Line {
            row: row.name.to_owned(),
            target: row.target,
            memory_target: row.memory,
            images: row.images,
            ..Line::default()
        };
        let mut timed = |side: &mut Side, times: &mut Vec<f64>| -> Result<()> {
            std::thread::sleep(PAUSE);
            let watch = Watch::start(side.pid());
            times.push(side.run(row.times)?);
            line.others.extend(watch.others());
            Ok(())
        };
        let runs = self.runs.unwrap_or(row.runs);
        for i in 0..runs {
            // Whoever goes first has the other's leftovers in the caches: by turns.
            for turn in [i % 2, 1 - i % 2] {
                if turn == 0 {
                    timed(&mut drgan, &mut line.drgan)?
                } else {
                    timed(&mut peer, &mut line.peer)?
                }
            }
            let last = |of: &[f64]| of.last().copied().unwrap_or(f64::NAN);
            remark(format!(
                "{}: {} of {runs}: ours {:.3} s, PyTorch {:.3} s",
                row.name,
                i + 1,
                last(&line.drgan),
                last(&line.peer)
            ));
        }
        let mib = |bytes: u64| bytes >> 20;
        remark(format!(
            "{}: resident before: ours {} MiB, PyTorch {} MiB",
            row.name,
            mib(drgan.at_start),
            mib(peer.at_start)
        ));
        line.memory = Some((drgan.quit()?, peer.quit()?));
        Ok(line)
    }
}

/// Our bf16 beside the peer's f32, where both rows were measured.
fn bf16_to_f32(lines: &[Line]) -> Option<Line> {
    let find = |name: &str| lines.iter().find(|l| l.row == name);
    let (bf16, f32) = (find("image-1-bf16")?, find("image-1")?);
    Some(Line {
        row: "image-1-bf16 to f32".into(),
        drgan: bf16.drgan.clone(),
        peer: f32.peer.clone(),
        target: Some(BF16_TO_F32),
        ..Line::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_also_compared_with_f32() {
        let line = |row: &str, drgan: f64, peer: f64| Line {
            row: row.into(),
            drgan: vec![drgan],
            peer: vec![peer],
            ..Line::default()
        };
        let lines = [line("image-1", 2., 4.), line("image-1-bf16", 1., 3.)];
        let both = bf16_to_f32(&lines).expect("both were measured");
        assert_eq!((both.ratio(), both.target), (Some(0.25), Some(BF16_TO_F32)));
        assert!(bf16_to_f32(&lines[..1]).is_none());
    }

    #[test]
    fn an_unknown_row_is_refused_with_those_there_are() {
        let e = Options { python: None }
            .run(Pace::default(), &["image-2".into()])
            .expect_err("no such row")
            .to_string();
        assert!(e.contains("image-2") && e.contains("image-16") && e.contains(SAMPLE_START), "{e}");
    }
}
