//! What several commands need: runs, data sets, event sinks, threads.
use crate::cli::{Compute, THREADS};
use crate::numbers::whole;
use crate::sinks::Console;
use anyhow::{Context, Result, anyhow, bail};
use candle_core::Device;
use drgan_data::Dataset;
use drgan_tensor::device::Opened;
use drgan_tensor::internal::{escaped, shown};
use drgan_tensor::ops::Precision;
use drgan_terminal::remark;
use drgan_text::Vocabulary;
use drgan_train::RunDir;
use drgan_train::config::{RunConfig, SplitRule};
use drgan_train::events::{Event, Jsonl, Sinks};
use drgan_train::run::LockedRun;
use drgan_train::session::{Newest, TrainedRun};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where runs lie unless the user names a folder.
pub(super) const RUNS: &str = "runs";

/// Writes a text file; a reader sees the old one or the new one.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    Ok(drgan_tensor::file::write_atomic(path, text.as_bytes())?)
}

/// Opens a device to compute on in a precision, and tells what it lacks.
pub(super) fn open_device(compute: &Compute, precision: Precision) -> Result<Device> {
    let Opened { device, notes, .. } = compute.device.unwrap_or_default().open_noted(precision)?;
    tell(&notes);
    Ok(device)
}

/// Tells what a device lacks.
pub(super) fn tell(notes: &[String]) {
    notes.iter().for_each(|note| remark(format!("warning: {note}")));
}

/// The data set of a run's settings.
pub(super) fn open_data(cfg: &RunConfig) -> Result<Arc<Dataset>> {
    let mut data = match cfg.data.path.as_str() {
        "" if matches!(cfg.preset.as_str(), "birds" | "coco") => {
            bail!("preset {}: give its images and captions with --data DIR_OR_TAR (docs/data.md)", cfg.preset)
        }
        "" => Dataset::embedded()?,
        path => Dataset::open(Path::new(path))?,
    };
    if cfg.recipe.keys_by_written_names() {
        data.key_by_written_names();
    }
    for note in data.notes() {
        remark(format!("data: {}", escaped(&note)));
    }
    // The vocabulary is read again where it is used: a file that cannot be read is told before a run's folder is made.
    data.vocabulary_file().map(Vocabulary::from_captions_pickle).transpose()?;
    if cfg.data.split == SplitRule::ByKey {
        data.split_by_key();
    }
    if cfg.data.limit > 0 {
        data.truncate(cfg.data.limit);
    }
    for note in data.duplicates() {
        remark(format!("data: {}", escaped(&note)));
    }
    Ok(Arc::new(data))
}

/// Everything that hears what a run reports: the terminal, and the log in its folder.
pub(super) fn sinks(run: &LockedRun) -> Result<Sinks> {
    Ok(Sinks::default().with(Console::default()).with(Jsonl::to(run.open_log()?, &run.log())))
}

/// Prints what a command has found or made, at the end of its work. That it cannot be printed is said, and fails nothing; a
/// reader who is gone is told nothing.
pub(super) fn report(text: &str) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if let Err(e) = drgan_terminal::result(text)
        && !e.reader_is_gone()
        && !SAID.swap(true, Ordering::Relaxed)
    {
        remark(format!("warning: {e}"));
    }
}

/// As [`report`], for a run, whose log keeps that it could not be printed.
pub(super) fn report_of_run(sinks: &mut Sinks, text: &str) {
    if let Err(e) = drgan_terminal::result(text) {
        sinks.emit(&Event::Warning { text: format!("{e}: the results are not shown") });
    }
}

/// The name of the newest run that can be drawn with; a folder of this name is `./latest`.
const LATEST: &str = "latest";

/// The run that was named, or the newest that can be drawn with, and which one that is as the first line of what a command
/// prints.
pub(super) fn open_trained(path: Option<&Path>, device: &Device) -> Result<TrainedRun> {
    let Newest { trained, passed_over } = match path {
        Some(path) if path != Path::new(LATEST) => {
            Newest { trained: TrainedRun::open(&RunDir::open(path)?, device)?, passed_over: Vec::new() }
        }
        _ => TrainedRun::newest(Path::new(RUNS), device)?,
    };
    let name = Path::new(trained.checkpoint().file_name().unwrap_or_default());
    report(&format!("run {}, checkpoint {}", shown(trained.run().path()), shown(name)));
    for reason in passed_over {
        remark(format!("warning: a newer run is passed over: {}", escaped(&reason)));
    }
    if let Some(w) = &trained.warning {
        remark(format!("warning: {}", escaped(w)));
    }
    Ok(trained)
}

/// The number of threads, where the command line does not say it.
const THREADS_VARIABLE: &str = "RAYON_NUM_THREADS";

/// As many threads as asked for, else as `RAYON_NUM_THREADS` says, else one per physical core.
pub(super) fn use_threads(compute: &Compute) -> Result<()> {
    let n = match compute.threads {
        Some(n) => n.into(),
        None if std::env::var_os(THREADS_VARIABLE).is_some_and(|value| !value.is_empty()) => {
            let value = std::env::var(THREADS_VARIABLE).unwrap_or_default();
            whole::<usize>(THREADS)(&value).map_err(|e| anyhow!("{THREADS_VARIABLE} is `{value}`: {e}"))?
        }
        // Threads of one core share its arithmetic units and its cache; fewer processors may be available than there are cores.
        None => num_cpus::get_physical().min(num_cpus::get()),
    };
    rayon::ThreadPoolBuilder::new().num_threads(n).build_global().context("--threads")?;
    Ok(())
}

/// A path as a setting, `KEY="PATH"`.
pub(super) fn path_setting(key: &str, path: &Path) -> Result<String> {
    Ok(format!("{key}={}", toml::Value::String(utf8(key, path)?.to_owned())))
}

/// A path as text, which a setting is.
pub(super) fn utf8<'a>(key: &str, path: &'a Path) -> Result<&'a str> {
    path.to_str().with_context(|| format!("{key}: {}: the path is not UTF-8", shown(path)))
}
