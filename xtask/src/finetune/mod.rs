//! `cargo xtask finetune`: what starting from the pretrained model is worth on pictures of one's own.
mod pictures;

use crate::run;
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Pictures to learn from, and others that nothing is trained on.
const PICTURES: (usize, usize) = (100, 50);

/// Trains on 100 small pictures twice, from the pretrained model and from initial values, and compares both with the model as it is.
///
/// The pictures are shapes in patterns (a striped green ring), drawn here; 50 others are held out. Samples of both runs stay in DIR.
/// Exit status 1 unless starting from the model gives the lower KID to the held-out pictures.
#[derive(Args)]
pub(crate) struct Finetune {
    /// Generator steps of both runs.
    #[arg(long, value_name = "N", default_value_t = 300)]
    steps: u64,
    /// Seed of both runs.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where pictures and runs are written; nothing may be there yet.
    #[arg(long, value_name = "DIR", default_value = "runs/finetune")]
    out: PathBuf,
}

/// A row of the table.
struct Row {
    name: &'static str,
    seconds: f64,
    scores: Value,
}

impl Finetune {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let drgan = run::build("drgan")?;
        ensure!(!self.out.exists(), "--out {}: is there already", self.out.display());
        let data = self.out.join("pictures");
        pictures::write(&data, PICTURES.0, PICTURES.1)?;
        let as_it_is = self.measure_model(&drgan, &data)?;
        let fresh = self.train(&drgan, &data, "from initial values", "fresh", &[])?;
        let tuned =
            self.train(&drgan, &data, "from the pretrained model", "tuned", &["--from-model", "pretrained"])?;
        let better = tuned.kid()? < fresh.kid()?.min(as_it_is.kid()?);
        let mut text = format!(
            "{} pictures to train on, {} held out, {} steps, seed {}\n\n\
             | | seconds | KID, held out | KID, training | R-precision, held out |\n|---|---|---|---|---|\n",
            PICTURES.0, PICTURES.1, self.steps, self.seed
        );
        for row in [&as_it_is, &fresh, &tuned] {
            let number = |name: &str| row.score(name).map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
            text += &format!(
                "| {} | {:.0} | {} | {} | {} |\n",
                row.name,
                row.seconds,
                number("held_out_kid"),
                number("kid"),
                number("held_out_r_precision")
            );
        }
        drgan_terminal::result(text)?;
        Ok(if better { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn measure_model(&self, drgan: &Path, data: &Path) -> Result<Row> {
        let out = self.out.join("as-it-is.json");
        let mut command = Command::new(drgan);
        command.args(["evaluate", "--model", "pretrained", "--samples", "500", "--data"]).arg(data);
        let seconds = timed(command.arg("--out").arg(&out))?;
        Ok(Row { name: "the pretrained model as it is", seconds, scores: scores(&out)? })
    }

    fn train(
        &self,
        drgan: &Path,
        data: &Path,
        name: &'static str,
        folder: &str,
        more: &[&str],
    ) -> Result<Row> {
        let run = self.out.join(folder);
        let (steps, seed) = (self.steps.to_string(), self.seed.to_string());
        let mut command = Command::new(drgan);
        command.args(["train", "--steps", &steps, "--seed", &seed, "--set", "evaluate.samples=500"]);
        let seconds = timed(command.args(more).arg("--data").arg(data).arg("--out").arg(&run))?;
        Ok(Row { name, seconds, scores: scores(&run.join("evaluation.json"))? })
    }
}

impl Row {
    fn score(&self, name: &str) -> Option<f64> {
        self.scores["trained"][name].as_f64()
    }

    fn kid(&self) -> Result<f64> {
        self.score("held_out_kid").with_context(|| format!("{}: no KID of held-out pictures", self.name))
    }
}

/// Runs a command to its end; how many seconds it took.
fn timed(command: &mut Command) -> Result<f64> {
    let begun = Instant::now();
    let status = command.status().context("drgan cannot be started")?;
    ensure!(status.success(), "drgan failed: {status}");
    Ok(begun.elapsed().as_secs_f64())
}

fn scores(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_slice(&text)?)
}
