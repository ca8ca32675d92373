//! Weight files as text: the table of `drgan inspect`, and what `drgan import` maps, misses and keeps.
use candle_core::Tensor;
use drgan_tensor::internal::escaped;
use drgan_tensor::weights::WeightFile;
use drgan_train::import::Recognized;

/// A tensor in a line: name, type, shape, and of floats the smallest, largest and root mean square value.
///
/// # Errors
/// Whatever candle reports.
fn line(name: &str, t: &Tensor, width: usize) -> candle_core::Result<String> {
    let mut line = format!(
        "{:width$}  {:5}  {:20}",
        escaped(name).to_string(),
        format!("{:?}", t.dtype()).to_lowercase(),
        format!("{:?}", t.dims())
    );
    if t.dtype().is_float() && t.elem_count() > 0 {
        let values = t.flatten_all()?.to_vec1::<f32>()?;
        let (low, high) =
            values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        let rms = (values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        line += &format!("  {low:10.4}  {high:10.4}  {rms:10.4}");
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            line += &format!("  holds {bad}");
        }
    }
    Ok(line.trim_end().to_owned())
}

/// The table of `drgan inspect`.
///
/// # Errors
/// Whatever candle reports.
pub(crate) fn table(file: &WeightFile) -> candle_core::Result<String> {
    let width =
        file.tensors.keys().map(|n| escaped(n).to_string().chars().count()).chain([4]).max().unwrap_or(4);
    let head = ["tensor", "type", "shape", "min", "max", "rms"];
    let mut text = format!(
        "{:width$}  {:5}  {:20}  {:>10}  {:>10}  {:>10}\n",
        head[0], head[1], head[2], head[3], head[4], head[5]
    );
    for (name, t) in &file.tensors {
        text += &(line(name, t, width)? + "\n");
    }
    let values: usize = file.tensors.values().map(Tensor::elem_count).sum();
    text += &format!("{}: {} tensors, {values} values\n", file.format, file.tensors.len());
    for (key, value) in &file.metadata {
        text += &format!("{}: {}\n", escaped(key), escaped(value));
    }
    for note in &file.notes {
        text += &format!("note: {note}\n");
    }
    Ok(text)
}

/// What an import maps, misses and keeps.
pub(crate) fn import(found: &Recognized) -> String {
    let mut text = found.network.name().to_owned();
    for note in &found.notes {
        text += &format!(", {}", escaped(note));
    }
    text += &format!(
        "\nconfiguration  {}\nmapped         {} tensors\n",
        found.config,
        found.fit.needed.len() - found.fit.missing.len()
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

    #[test]
    fn left_over_names_are_shown_in_groups() {
        let names = ["a.b.num_batches_tracked", "c.num_batches_tracked", "h.x.0.weight", "h.x.0.bias", "z"];
        let shown = groups(&names.map(str::to_owned));
        let want = [("*.num_batches_tracked", 2), ("h.x.*", 2), ("z.*", 1)];
        assert_eq!(shown, want.map(|(g, n)| (g.to_owned(), n)));
    }
}
