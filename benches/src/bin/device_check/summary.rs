//! The tables for people, and the one file for programs.
use crate::results::{Checked, Outcome, Results};
use anyhow::{Context, Result};
use drgan_tensor::file::write_atomic;
use serde_json::{Value, json};
use std::path::Path;

/// A table in Markdown, its columns aligned, and a line above it.
#[derive(Debug)]
pub(crate) struct Table {
    title: Option<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { title: None, rows: vec![header.map(str::to_owned).into()] }
    }

    pub(crate) fn titled(self, title: String) -> Self {
        Self { title: Some(title), ..self }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The lines; none where there is no row under the header.
    fn markdown(&self) -> String {
        let [header, rows @ ..] = self.rows.as_slice() else { return String::new() };
        if rows.is_empty() {
            return String::new();
        }
        let width = |i: usize| self.rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} |"));
            format!("|{}\n", cells.collect::<String>())
        };
        let rule: String = widths.iter().map(|width| format!("{}|", "-".repeat(width + 2))).collect();
        let title = self.title.as_ref().map_or_else(String::new, |title| format!("{title}\n\n"));
        format!("{title}{}|{rule}\n{}", line(header), rows.iter().map(|row| line(row)).collect::<String>())
    }
}

/// A JSON value as a cell: a text without its quotes.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What was checked and how it came out, in Markdown. Each part comes with tables of its own.
pub(crate) fn markdown(device: &Checked, quick: bool, parts: &[(Results, Vec<Table>)]) -> String {
    let gib = device.memory_bytes as f64 / f64::from(1 << 30);
    let mut text = format!(
        "# Device check\n\n{}: compute capability {}, {gib:.1} GiB, CUDA {}. Convolutions by {}. Program {}.\n",
        device.name, device.compute_capability, device.driver_cuda, device.convolutions, device.program
    );
    if let Some(why) = &device.lacks_cudnn {
        text += &format!("WITHOUT cuDNN, which is faster: {why}.\n");
    }
    if device.emulated {
        text += "This is the CPU in the place of a device: its times are no GPU's.\n";
    }
    if quick {
        text += "Small sizes (`--quick`).\n";
    }
    let mut table = Table::new(["part", "state", "looked at", "failed", "skipped", "left", "seconds"]);
    for (results, _) in parts {
        let skipped = results.items.iter().filter(|item| matches!(item.outcome, Outcome::Skipped(_))).count();
        table.row([
            results.part.clone(),
            results.state().word().to_owned(),
            results.items.len().to_string(),
            results.failures().len().to_string(),
            skipped.to_string(),
            results.left.len().to_string(),
            format!("{:.1}", results.seconds),
        ]);
    }
    text += &format!("\n{}", table.markdown());
    for (results, tables) in parts {
        let shown: Vec<String> =
            tables.iter().map(Table::markdown).filter(|table| !table.is_empty()).collect();
        let lines = shown.join("\n");
        let mut said: Vec<String> = Vec::new();
        for item in &results.items {
            match &item.outcome {
                Outcome::Passed => {}
                Outcome::Failed(why) => said.push(format!("- FAILED: {}: {why}", item.name)),
                Outcome::Skipped(why) => said.push(format!("- skipped: {}: {why}", item.name)),
            }
        }
        if !results.left.is_empty() {
            said.push(format!("- left: {}", some_of(&results.left)));
        }
        if lines.is_empty() && said.is_empty() {
            continue;
        }
        let said: String = said.iter().map(|line| format!("{line}\n")).collect();
        let between = if lines.is_empty() || said.is_empty() { "" } else { "\n" };
        text += &format!("\n## {}\n\n{lines}{between}{said}", results.part);
    }
    text
}

/// Names of a list that are shown.
const NAMED: usize = 3;

/// A list, or its first names and how many more there are.
fn some_of(names: &[String]) -> String {
    let first = names[..names.len().min(NAMED)].join("; ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first}; and {more} more"),
    }
}

/// Writes device-check.json and device-check.md.
///
/// # Errors
/// They cannot be written.
pub(crate) fn write(
    folder: &Path,
    device: &Checked,
    quick: bool,
    parts: &[(Results, Vec<Table>)],
    text: &str,
) -> Result<()> {
    let parts: Vec<&Results> = parts.iter().map(|(results, _)| results).collect();
    let states: serde_json::Map<String, Value> =
        parts.iter().map(|part| (part.part.clone(), part.state().word().to_lowercase().into())).collect();
    let all = json!({ "device": device, "quick": quick, "states": states, "parts": parts });
    let all = serde_json::to_string_pretty(&all)? + "\n";
    for (name, text) in [("device-check.json", all.as_str()), ("device-check.md", text)] {
        let path = folder.join(name);
        write_atomic(&path, text.as_bytes()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Part;
    use crate::results::{Item, tests_device};

    #[test]
    fn a_long_list_is_cut_and_a_missing_library_is_told() {
        let mut results = Results::new(Part::Ops, &tests_device(), true);
        results.left = (0..300).map(|i| format!("item {i}")).collect();
        let device = Checked { lacks_cudnn: Some("libcudnn.so.9 is not there".into()), ..tests_device() };
        let text = markdown(&device, true, &[(results, Vec::new())]);
        assert!(text.contains("- left: item 0; item 1; item 2; and 297 more\n"), "{text}");
        assert!(text.contains("WITHOUT cuDNN, which is faster: libcudnn.so.9 is not there.\n"), "{text}");
    }

    #[test]
    fn an_emulated_device_is_named_as_such_and_failures_are_listed() {
        let item = |name: &str, outcome| Item { name: name.into(), outcome, figures: Value::Null };
        let mut results = Results::new(Part::Ops, &tests_device(), true);
        results.items = vec![item("gate", Outcome::Passed), item("tanh", Outcome::Failed("off".into()))];
        results.left = vec!["lstm".into()];
        let mut table = Table::new(["a", "long name"]);
        table.row(["longer".into(), "b".into()]);
        let text = markdown(&tests_device(), true, &[(results, vec![table])]);
        assert!(text.contains("a device: compute capability 8.0") && text.contains("no GPU's"), "{text}");
        assert!(text.contains("| longer | b         |\n"), "{text}");
        assert!(text.contains("- FAILED: tanh: off\n") && text.contains("- left: lstm\n"), "{text}");
        assert!(text.contains("Convolutions by cuDNN 9.13.0.") && !text.contains("WITHOUT"), "{text}");
        assert!(text.contains("| ops  | FAILED | 2         | 1      | 0       | 1    |"), "{text}");
    }
}
