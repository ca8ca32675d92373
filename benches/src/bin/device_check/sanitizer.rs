//! Part `sanitizer`: the operations once more, while compute-sanitizer's memcheck looks at each access to the device's memory.
use crate::child::{Child, run};
use crate::clock::{Clock, PART};
use crate::plan::{Check, Found, Plan, Planned};
use crate::results::{Item, Outcome};
use crate::summary::{Table, text};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const TOOL: &str = "compute-sanitizer";
/// The exit status by which the tool says that it found something.
const FOUND: i32 = 99;

pub(crate) fn plan(check: &Check) -> Result<Plan<'static>> {
    if check.device.emulated {
        return Ok(Plan::Skipped("the emulated device looks at each access itself".to_owned()));
    }
    let Some(tool) = find() else {
        let why = format!(
            "{TOOL} is neither on the PATH nor in the CUDA toolkit's folder (NVIDIA's package cuda-sanitizer-13-0)"
        );
        return Ok(Plan::Skipped(why));
    };
    let check = check.clone();
    Ok(Plan::Items(vec![Planned::new("memcheck of all operations", move |clock: &Clock| {
        memcheck(&tool, &check, clock)
    })]))
}

/// Where the tool is installed.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].iter().filter_map(std::env::var_os).map(PathBuf::from);
    let toolkits =
        toolkits.chain(["/usr/local/cuda", "/opt/cuda"].map(PathBuf::from)).map(|folder| folder.join("bin"));
    std::env::split_paths(&path).chain(toolkits).map(|folder| folder.join(TOOL)).find(|file| file.is_file())
}

fn memcheck(tool: &Path, check: &Check, clock: &Clock) -> Result<Option<Found>> {
    let folder = check.out.join("sanitizer");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let log = folder.join("memcheck.txt");
    let mut command = Command::new(tool);
    // The program starts itself once more to do the work.
    command
        .args([
            "--target-processes",
            "all",
            "--tool",
            "memcheck",
            "--error-exitcode",
            &FOUND.to_string(),
            "--log-file",
        ])
        .arg(&log);
    command.arg(std::env::current_exe().context("where the program lies is not known")?);
    command.args(["--part", "ops", "--quick", "--again", "--device", &check.request.to_string(), "--out"]);
    command.arg(&folder);
    let Child::Ended(ended) = run(&mut command, &folder, PART, clock)? else { return Ok(None) };
    let report = std::fs::read_to_string(&log).unwrap_or_default();
    let mut said =
        report.lines().map(|line| line.trim_start_matches(['=', ' '])).filter(|line| !line.is_empty());
    let (first, last) = (said.clone().find(|line| !line.starts_with("COMPUTE-SANITIZER")), said.next_back());
    let figures = json!({ "says": last, "report": "sanitizer/memcheck.txt" });
    let reasons = match ended.status.code() {
        Some(0) => Vec::new(),
        Some(FOUND) => vec![first.unwrap_or("memcheck found an error").to_owned()],
        _ => vec![format!("the operations have failed: {}", ended.last_words())],
    };
    Ok(Some(Found::unless(&reasons, figures)))
}

pub(crate) fn table(items: &[Item]) -> Table {
    let mut table = Table::new(["checked", "memcheck says"]);
    for item in items.iter().filter(|item| item.outcome == Outcome::Passed && item.figures != Value::Null) {
        table.row([item.name.clone(), text(&item.figures["says"])]);
    }
    table
}
