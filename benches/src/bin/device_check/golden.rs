//! Part `golden`: the golden files of another framework, compared on the device.
use crate::clock::Clock;
use crate::plan::{Check, Found, Plan, Planned};
use crate::results::Item;
use crate::summary::{Table, text};
use crate::work::folder;
use anyhow::Result;
use drgan_parity::Outcome;
use serde_json::{Value, json};

/// Files that take seconds where nothing is computed in parallel.
const QUICK: [&str; 1] = ["discriminator64.safetensors"];

pub(crate) fn plan(check: &Check) -> Result<Plan<'static>> {
    let (folder, device) = (folder("golden", "parity/golden")?, check.request.open()?);
    let mut names = drgan_parity::files(&folder)?;
    if check.quick {
        names.retain(|name| QUICK.contains(&name.as_str()));
    }
    let item = |name: String| {
        let (folder, device) = (folder.clone(), device.clone());
        Planned::new(name.clone(), move |_: &Clock| {
            let report = drgan_parity::run_files(&folder, &[name], &folder, &device)?;
            let failed: Vec<String> = report
                .rows
                .iter()
                .filter(|row| row.outcome.is_failure())
                .map(|row| format!("{}: {}", row.tensor, said(&row.outcome)))
                .collect();
            let worst = report.rows.iter().filter_map(|row| match row.outcome {
                Outcome::Compared { error, tolerance } => Some((&row.tensor, error, tolerance)),
                _ => None,
            });
            let worst = worst.max_by(|a, b| (a.1 / a.2).total_cmp(&(b.1 / b.2)));
            let worst = worst.map_or(
                Value::Null,
                |(tensor, error, allowed)| json!({ "tensor": tensor, "error": error, "allowed": allowed }),
            );
            Ok(Some(Found::unless(&failed, json!({ "compared": report.rows.len(), "worst": worst }))))
        })
    };
    Ok(Plan::Items(names.into_iter().map(item).collect()))
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Compared { error, tolerance } => format!("off by {error:.1e}, {tolerance:.0e} is allowed"),
        Outcome::Failed(why) | Outcome::Skipped(why) => why.clone(),
        Outcome::Present => "present".to_owned(),
    }
}

pub(crate) fn table(items: &[Item]) -> Table {
    let mut table = Table::new(["file", "compared", "nearest to its tolerance", "error", "allowed"]);
    for item in items.iter().filter(|item| item.figures.is_object()) {
        let worst = &item.figures["worst"];
        let number = |key: &str| worst[key].as_f64().map_or_else(|| "-".to_owned(), |x| format!("{x:.1e}"));
        let compared = text(&item.figures["compared"]);
        table.row([item.name.clone(), compared, text(&worst["tensor"]), number("error"), number("allowed")]);
    }
    table
}
