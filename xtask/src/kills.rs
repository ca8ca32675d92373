//! `cargo xtask kills`: whether a run that is killed at any moment continues to the same bits.
use crate::random::SplitMix64;
use crate::run;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Steps of the run, with a checkpoint after every second.
const STEPS: &str = "40";
const LAST: &str = "checkpoints/step-000040.safetensors";

/// Kills training runs of `tiny` at random moments and resumes each, until it is done.
///
/// A run is killed (SIGKILL) and continued again and again; once it is done, its last checkpoint must have the bytes of an
/// undisturbed run's, and its log ascending steps. Then another begins, until there were enough kills. At the end two processes are
/// started on one run: the second must be refused. Exit status 1 if anything differs.
#[derive(Args)]
pub(crate) struct Kills {
    /// How many kills.
    #[arg(long, value_name = "N", default_value_t = 100)]
    times: u64,
    /// Seed of the moments.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// What became of the processes that were started.
#[derive(Default)]
struct Counts {
    /// Kills before there were settings, before a checkpoint, and after one.
    before_settings: u64,
    before_checkpoint: u64,
    after_checkpoint: u64,
    /// Temporary files that kills left.
    partials: usize,
    /// Runs that were done in the end.
    runs: u64,
}

impl Counts {
    fn kills(&self) -> u64 {
        self.before_settings + self.before_checkpoint + self.after_checkpoint
    }
}

impl Kills {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let drgan = run::build("drgan")?;
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let whole = folder.path().join("whole");
        let begun = Instant::now();
        finish(begin(&drgan, &whole)?)?;
        let took = begun.elapsed();
        let want = last(&whole)?;

        let (mut counts, mut moments) = (Counts::default(), SplitMix64(self.seed));
        while counts.kills() < self.times {
            let run = folder.path().join(format!("run-{}", counts.runs));
            let mut kills = 0;
            while counts.kills() < self.times {
                let mut child = begin(&drgan, &run)?;
                sleep(took.mul_f64(moments.share() / 2.));
                if child.try_wait()?.is_some() {
                    finish(child)?;
                    break;
                }
                child.kill()?;
                child.wait()?;
                kills += 1;
                counts.partials += partials(&run);
                *match (run.join("config.toml").is_file(), newest(&run)) {
                    (false, _) => &mut counts.before_settings,
                    (true, None) => &mut counts.before_checkpoint,
                    (true, Some(_)) => &mut counts.after_checkpoint,
                } += 1;
            }
            finish(begin(&drgan, &run)?)?;
            ensure!(last(&run)? == want, "{}: not the bits of an undisturbed run", run.display());
            ensure!(partials(&run) == 0, "{}: temporary files were left", run.display());
            check_log(&run)?;
            counts.runs += 1;
            drgan_terminal::remark(format!("run {}: {kills} kills, then the same bits", counts.runs));
        }
        let refused = second_process(&drgan, &folder.path().join("two"))?;
        drgan_terminal::result(format!(
            "{} kills in {} runs: {} before the settings were written, {} before the first checkpoint, {} after it; {} temporary \
             files were left by them, and removed; every run ended with the bits of the undisturbed one (which took {:.1} s), and \
             ascending steps in its log\ntwo processes on one run: {refused}",
            counts.kills(),
            counts.runs,
            counts.before_settings,
            counts.before_checkpoint,
            counts.after_checkpoint,
            counts.partials,
            took.as_secs_f64()
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Begins a run or continues it, as whoever sees its folder would.
fn begin(drgan: &Path, run: &Path) -> Result<Child> {
    let mut train = Command::new(drgan);
    train.args(["train", "--no-evaluate"]);
    match run.join("config.toml").is_file() {
        true => train.arg("--resume").arg(run),
        false => {
            let settings = ["train.checkpoint_every=2", "damsm.epochs=2"].map(|set| ["--set", set]);
            train.args(["--preset", "tiny", "--steps", STEPS]).args(settings.concat()).arg("--out").arg(run)
        }
    };
    let child = train.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    child.with_context(|| format!("could not start {}", drgan.display()))
}

fn finish(child: Child) -> Result<()> {
    let done = child.wait_with_output()?;
    ensure!(done.status.success(), "a run failed: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

fn last(run: &Path) -> Result<Vec<u8>> {
    let path = run.join(LAST);
    fs::read(&path).with_context(|| path.display().to_string())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The newest checkpoint of a run.
fn newest(run: &Path) -> Option<PathBuf> {
    entries(&run.join("checkpoints")).filter(|p| p.extension().is_some_and(|e| e == "safetensors")).max()
}

/// How many temporary files lie in a run's folder.
fn partials(run: &Path) -> usize {
    let folders = [run.to_owned(), run.join("checkpoints"), run.join("samples")];
    let all = folders.iter().flat_map(|folder| entries(folder));
    all.filter(|p| p.extension().is_some_and(|e| e == "partial")).count()
}

/// Checks that the steps of the GAN ascend in a log, whose lines are all JSON.
fn check_log(run: &Path) -> Result<()> {
    let path = run.join("log.jsonl");
    let mut before = 0;
    for line in fs::read_to_string(&path).with_context(|| path.display().to_string())?.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()))?;
        let progress = line["event"] == "progress" && line["phase"] == "gan";
        if let (true, Some(step)) = (progress, line["step"].as_u64()) {
            ensure!(step > before, "{}: step {step} after {before}", path.display());
            before = step;
        }
    }
    Ok(())
}

/// Starts a second process on a run that is going on; what it says when it is refused.
fn second_process(drgan: &Path, run: &Path) -> Result<String> {
    let mut first = begin(drgan, run)?;
    while !run.join("config.toml").is_file() {
        if first.try_wait()?.is_some() {
            bail!("the run ended before it wrote its settings")
        }
        sleep(Duration::from_millis(10));
    }
    let second = begin(drgan, run)?.wait_with_output();
    first.kill()?;
    first.wait()?;
    let second = second?;
    let said = String::from_utf8_lossy(&second.stderr).trim().to_owned();
    let holder = format!("in use by process {}", first.id());
    ensure!(!second.status.success() && said.contains(&holder), "the second was not refused: {said}");
    Ok("the second was refused, naming the first".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_whose_steps_go_back_is_refused() -> Result<()> {
        let run = tempfile::tempdir()?;
        let mut log = String::new();
        let mut add = |line: &str| {
            log += &format!("{line}\n");
            fs::write(run.path().join("log.jsonl"), &log)
        };
        add(r#"{"event":"progress","phase":"damsm","step":72}"#)?;
        add(r#"{"event":"progress","phase":"gan","step":1}"#)?;
        add(r#"{"event":"progress","phase":"gan","step":2}"#)?;
        check_log(run.path())?;
        add(r#"{"event":"progress","phase":"gan","step":2}"#)?;
        assert!(check_log(run.path()).is_err());
        Ok(())
    }
}
