//! How long `drgan sample` takes until its first image is written, beyond computing it.
use super::{Line, SAMPLE_START, Setting, Side};
use crate::measure;
use crate::run;
use anyhow::{Context, Result, ensure};
use drgan_terminal::remark;
use std::process::Command;
use std::time::Instant;

/// Most seconds that it may take.
const TARGET: f64 = 1.;
const RUNS: u16 = 5;

impl Setting {
    /// Draws one image of a made-up full-size run, a process each time; from its time is taken that of an iteration of
    /// `image-1`, measured beside it.
    pub(super) fn sample_start(&self) -> Result<Line> {
        let folder = run::root().join("target/peer").join(SAMPLE_START);
        let trained = folder.join("run");
        if !trained.join("config.toml").is_file() {
            remark(format!("{SAMPLE_START}: writing a full-size run"));
            let mut write = Command::new(&self.program);
            write.arg("sample-run").arg(&trained);
            ensure!(write.status()?.success(), "could not write {}", trained.display());
        }
        let mut inference = Side::start("our side", self.side(&self.program, &[], "image-1", &folder))?;
        let drgan = run::build("drgan")?;
        let png = folder.join("image.png");
        let draw = || -> Result<f64> {
            let mut sample = Command::new(&drgan);
            sample.args(["sample", "a red heart", "--count", "1", "--threads", &self.threads.to_string()]);
            sample.arg("--run").arg(&trained).arg("--out").arg(&png);
            measure::pin(&mut sample, self.threads);
            let start = Instant::now();
            let out = sample.output().context("could not start drgan")?;
            let taken = start.elapsed().as_secs_f64();
            ensure!(out.status.success(), "drgan sample: {}", String::from_utf8_lossy(&out.stderr));
            Ok(taken)
        };
        draw()?; // warms the disk's cache
        let (mut seconds, runs) = (Vec::new(), self.runs.unwrap_or(RUNS));
        for i in 0..runs {
            let (whole, drawing) = (draw()?, inference.run(1)?);
            remark(format!(
                "{SAMPLE_START}: {} of {runs}: {whole:.3} s, {drawing:.3} s of it for the image",
                i + 1
            ));
            seconds.push(whole - drawing);
        }
        inference.quit()?;
        Ok(Line { row: SAMPLE_START.into(), drgan: seconds, target: Some(TARGET), ..Line::default() })
    }
}
