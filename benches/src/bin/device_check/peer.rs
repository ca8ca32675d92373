//! Part `peer`: the same training and sampling in PyTorch on the same device.
use crate::child::{Child, run};
use crate::clock::{Clock, PART};
use crate::options::Part;
use crate::plan::{Check, Found, Plan, Planned};
use crate::results::{Item, Outcome, Results};
use crate::speed::name;
use crate::summary::Table;
use crate::work::{Work, folder, works};
use anyhow::{Context, Result, bail};
use drgan_tensor::ops::Precision;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the interpreter that has PyTorch, if it is not `python3`.
const PYTHON: &str = "DRGAN_PYTHON";
/// How PyTorch is set up, and the precision of ours that computes alike.
const VARIANTS: [(&str, Precision); 5] = [
    ("eager", Precision::F32),
    ("tf32", Precision::Tf32),
    ("channels-last", Precision::Tf32),
    ("compile", Precision::Tf32),
    ("bf16", Precision::Bf16),
];

pub(crate) fn plan(check: &Check) -> Result<Plan<'static>> {
    if check.device.emulated {
        return Ok(Plan::Skipped("PyTorch does not compute on the emulated device".to_owned()));
    }
    let python = PathBuf::from(std::env::var_os(PYTHON).unwrap_or_else(|| "python3".into()));
    if let Err(why) = has_torch(&python) {
        return Ok(Plan::Skipped(format!("{why:#}; {PYTHON} names another Python")));
    }
    let script = folder("pytorch", "benches/pytorch")?.join("device.py");
    let ours = Results::kept(&check.out, &Results::new(Part::Speed, &check.device, check.quick));
    let mut items = Vec::new();
    for work in works(check.quick) {
        for (variant, precision) in VARIANTS {
            let ours = ours.as_ref().and_then(|ours| speed_of(ours, &name(&work, precision)));
            let (python, script, check, work) = (python.clone(), script.clone(), check.clone(), work.clone());
            items.push(Planned::new(format!("{work}, {variant}"), move |clock: &Clock| {
                measure(&python, &script, &work, variant, (precision, ours), &check, clock)
            }));
        }
    }
    Ok(Plan::Items(items))
}

/// Whether this Python has what the script imports, and PyTorch finds a device.
fn has_torch(python: &Path) -> Result<()> {
    let script = "import numpy, torch\nif not torch.cuda.is_available(): raise SystemExit('PyTorch finds no CUDA device')";
    let name = python.display();
    let asked = Command::new(python)
        .args(["-c", script])
        .output()
        .with_context(|| format!("{name} cannot be started"))?;
    if asked.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&asked.stderr);
    bail!("{name}: {}", said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it has no PyTorch"))
}

/// Our images per second of a piece of work, if part `speed` has measured it.
fn speed_of(ours: &Results, name: &str) -> Option<f64> {
    let item = ours.items.iter().find(|item| item.name == name && item.outcome == Outcome::Passed)?;
    item.figures["images_per_second"].as_f64()
}

fn measure(
    python: &Path,
    script: &Path,
    work: &Work,
    variant: &str,
    (precision, ours): (Precision, Option<f64>),
    check: &Check,
    clock: &Clock,
) -> Result<Option<Found>> {
    let folder = check.out.join("peer");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let settings = folder.join("settings.json");
    std::fs::write(&settings, serde_json::to_vec(&work.settings()?)?)
        .with_context(|| settings.display().to_string())?;
    let mut command = Command::new(python);
    command.arg(script).arg(&settings).args([if work.trains { "train" } else { "sample" }, variant]);
    command.arg(check.request.to_string());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let most = PART / 2;
    let ended = match run(&mut command, &folder, most, clock)? {
        Child::Ended(ended) => ended,
        Child::NoTime => return Ok(None),
        Child::TooLong => {
            let why = format!("it took longer than {} minutes", most.as_secs() / 60);
            return Ok(Some(Found { outcome: Outcome::Skipped(why), figures: Value::Null }));
        }
    };
    if !ended.status.success() {
        bail!("{}", ended.last_words());
    }
    let line = ended.stdout.lines().last().context("the script printed nothing")?;
    let mut figures: Value =
        serde_json::from_str(line).with_context(|| format!("the script printed `{line}`"))?;
    let speed = figures["images_per_second"].as_f64().context("the script printed no speed")?;
    figures["ours"] = json!({ "precision": precision.to_string(), "images_per_second": ours });
    figures["ours_to_pytorch"] = json!(ours.map(|ours| ours / speed));
    Ok(Some(Found::passed(figures)))
}

pub(crate) fn table(items: &[Item]) -> Table {
    let mut table =
        Table::new(["work in PyTorch", "images/s", "peak MiB", "ours, images/s", "ours to PyTorch"]);
    for item in items.iter().filter(|item| item.figures.is_object()) {
        let figures = &item.figures;
        let number = |value: &Value, scale: f64, digits: usize| {
            value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{:.digits$}", value / scale))
        };
        table.row([
            item.name.clone(),
            number(&figures["images_per_second"], 1., 1),
            number(&figures["peak_bytes"], f64::from(1 << 20), 0),
            number(&figures["ours"]["images_per_second"], 1., 1),
            number(&figures["ours_to_pytorch"], 1., 2),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests_device;

    #[test]
    fn ours_is_found_by_its_name() {
        let work = &works(true)[0];
        let mut ours = Results::new(Part::Speed, &tests_device(), true);
        let figures = json!({ "images_per_second": 5.5 });
        ours.items.push(Item { name: name(work, Precision::F32), outcome: Outcome::Passed, figures });
        assert_eq!(speed_of(&ours, &name(work, Precision::F32)), Some(5.5));
        assert_eq!(speed_of(&ours, &name(work, Precision::Bf16)), None);
    }

    #[test]
    fn a_python_that_is_not_there_is_named() {
        let why = format!("{:#}", has_torch(Path::new("no-such-python")).expect_err("there is none"));
        assert!(why.starts_with("no-such-python cannot be started"), "{why}");
    }
}
