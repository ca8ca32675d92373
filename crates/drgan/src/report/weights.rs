//! Weight files as text: the table of `drgan inspect`, and what `drgan import` maps, misses and keeps.
use candle_core::Tensor;
use drgan_tensor::internal::{counted, escaped, shown};
use drgan_tensor::weights::WeightFile;
use drgan_train::config::RunConfig;
use drgan_train::import::Recognized;
use drgan_train::run::Checkpoint;
use drgan_train::session::Phase;
use std::path::Path;

/// A row of the table: name, type, shape, and of floats the smallest, largest and root mean square value and a remark.
type Row = [String; 7];

/// The row of a tensor.
///
/// # Errors
/// Whatever candle reports.
fn row(name: &str, t: &Tensor) -> candle_core::Result<Row> {
    let mut row = Row::default();
    row[0] = escaped(name).to_string();
    row[1] = format!("{:?}", t.dtype()).to_lowercase();
    row[2] = format!("{:?}", t.dims());
    if t.dtype().is_float() && t.elem_count() > 0 {
        let values = t.flatten_all()?.to_vec1::<f32>()?;
        let (low, high) =
            values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        let rms = (values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        for (cell, value) in row[3..].iter_mut().zip([low.into(), high.into(), rms]) {
            *cell = short(value);
        }
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            row[6] = format!("holds {bad}");
        }
    }
    Ok(row)
}

/// A number in four places behind the point, or with an exponent where these would not show it or be a long row of digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size == 0. || (5e-5..1e6).contains(&size) || !value.is_finite() => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    }
}

/// The table of `drgan inspect`: texts to the left, numbers to the right, each column as wide as its widest cell.
///
/// # Errors
/// Whatever candle reports.
pub(crate) fn table(file: &WeightFile, path: &Path) -> candle_core::Result<String> {
    let mut rows = vec![["tensor", "type", "shape", "min", "max", "rms", ""].map(str::to_owned)];
    for (name, t) in &file.tensors {
        rows.push(row(name, t)?);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [name, kind, shape, min, max, rms] = [0, 1, 2, 3, 4, 5].map(width);
    let mut text = String::new();
    for [n, k, s, low, high, root, remark] in &rows {
        let line =
            format!("{n:name$}  {k:kind$}  {s:shape$}  {low:>min$}  {high:>max$}  {root:>rms$}  {remark}");
        text += &format!("{}\n", line.trim_end());
    }
    let values: usize = file.tensors.values().map(Tensor::elem_count).sum();
    let (tensors, values) = (counted(file.tensors.len(), "tensor[|s]"), counted(values, "value[|s]"));
    text += &format!("{}: {tensors}, {values}\n", file.format);
    let run = run(file, path);
    // A run's settings are pages; what matters of them is said below.
    let shown = |key: &str| run.is_none() || key != "config";
    for (key, value) in file.metadata.iter().filter(|(key, _)| shown(key)) {
        text += &format!("{}: {}\n", escaped(key), escaped(value));
    }
    for note in &file.notes {
        text += &format!("note: {}\n", escaped(note));
    }
    Ok(text + &run.unwrap_or_default())
}

/// What checkpoint of what run a file is, if it is one.
fn run(file: &WeightFile, path: &Path) -> Option<String> {
    let mut checkpoint = Checkpoint::default();
    checkpoint.meta = file.metadata.clone();
    let cfg = RunConfig::from_toml(&checkpoint.get::<String>("config").ok()?).ok()?;
    let done = match Phase::of(&checkpoint).ok()? {
        Phase::Damsm => {
            let epochs = checkpoint.get::<usize>("epoch").ok()?;
            format!("encoders in training, {} done", counted(epochs, "epoch[|s]"))
        }
        _ => {
            let steps = checkpoint.get::<u64>("step").ok()?;
            format!("generator in training, {} done", counted(steps, "step[|s]"))
        }
    };
    let folder = path.parent().filter(|folder| folder.ends_with("checkpoints")).and_then(Path::parent);
    let folder = folder.map_or_else(String::new, |folder| format!("{}, ", shown(folder)));
    let (preset, recipe, seed) = (escaped(&cfg.preset), u32::from(cfg.recipe), cfg.seed);
    Some(format!("checkpoint of a run: {folder}preset {preset}, recipe {recipe}, seed {seed}; {done}\n"))
}

/// Whether a file is a checkpoint of this program.
pub(crate) fn is_checkpoint(file: &WeightFile) -> bool {
    run(file, Path::new("")).is_some()
}

/// What an import maps, misses and keeps.
pub(crate) fn import(found: &Recognized) -> String {
    let mut text = found.network.name().to_owned();
    for note in &found.notes {
        text += &format!(", {}", escaped(note));
    }
    text += &format!(
        "\nconfiguration  {}\nmapped         {}\n",
        found.config,
        counted(found.fit.needed.len() - found.fit.missing.len(), "tensor[|s]")
    );
    for name in &found.fit.missing {
        text += &format!("missing        {}\n", escaped(name));
    }
    for (group, count) in groups(&found.fit.left_over) {
        text += &format!("kept, unused   {count:4}  {}\n", escaped(&group));
    }
    text
}

/// Left-over names by what stands in front of their last parts: hundreds of lines help nobody.
fn groups(names: &[String]) -> Vec<(String, usize)> {
    let mut groups: Vec<(String, usize)> = Vec::new();
    for name in names {
        let group = if name.ends_with(".num_batches_tracked") {
            "*.num_batches_tracked".to_owned()
        } else {
            let parts: Vec<&str> = name.split('.').collect();
            let kept = parts.len().saturating_sub(1).clamp(1, 2);
            format!("{}.*", parts[..kept].join("."))
        };
        match groups.iter_mut().find(|(g, _)| *g == group) {
            Some((_, count)) => *count += 1,
            None => groups.push((group, 1)),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use drgan_tensor::device::HOST;
    use drgan_tensor::weights::Metadata;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let tensor = |values: &[f32]| Tensor::new(values, &HOST).unwrap();
        let deep = Tensor::new(&[1e30f32], &HOST).unwrap().reshape(vec![1; 9]).unwrap();
        let tensors = [("a", tensor(&[16., 4.])), ("longer.name", deep), ("c", tensor(&[1e-9, f32::NAN]))];
        let file = WeightFile {
            format: "safetensors",
            tensors: tensors.map(|(name, t)| (name.to_owned(), t)).into(),
            metadata: Metadata::new(),
            notes: Vec::new(),
        };
        let text = table(&file, Path::new("a.safetensors")).unwrap();
        let lines: Vec<&str> = text.lines().take(4).collect();
        let ends =
            |line: &str, cell: &str| line.find(cell).unwrap_or_else(|| panic!("{cell}: {text}")) + cell.len();
        let want = ["min", "max", "rms"].map(|head| ends(lines[0], head));
        assert_eq!([" 4.0000", "16.0000", "11.6619"].map(|cell| ends(lines[1], cell)), want, "{text}");
        assert!(lines[2].starts_with("c "), "{text}");
        assert!(lines[2].ends_with("holds NaN"), "{text}");
        assert!(lines[3].contains("[1, 1, 1, 1, 1, 1, 1, 1, 1]  1.000e30"), "{text}");
    }

    #[test]
    fn left_over_names_are_shown_in_groups() {
        let names = ["a.b.num_batches_tracked", "c.num_batches_tracked", "h.x.0.weight", "h.x.0.bias", "z"];
        let shown = groups(&names.map(str::to_owned));
        let want = [("*.num_batches_tracked", 2), ("h.x.*", 2), ("z.*", 1)];
        assert_eq!(shown, want.map(|(g, n)| (g.to_owned(), n)));
    }
}
