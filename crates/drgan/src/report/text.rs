//! An evaluation as a table for people.
use drgan_tensor::internal::counted;
use drgan_train::evaluate::{Better, Evaluation, METRICS, Metric, Scores};

/// Trained, untrained and real side by side, with everything that a number depends on above them.
pub(crate) fn table(e: &Evaluation) -> String {
    let mut text = format!(
        "preset {}, seed {}, step {}, averaged generator; {}, {}\n\
         noise seeds: {} per prompt, {} per caption; in brackets 95 %, prompts resampled\n\
         {:<34}{:>9}{:>16}{:>11}{:>9}  better\n",
        e.preset,
        e.seed,
        e.step,
        counted(e.samples, "sample[|s]"),
        counted(e.held_out, "held-out image[|s]"),
        e.noise_seeds,
        e.repeats,
        "",
        "trained",
        "",
        "untrained",
        "real"
    );
    for metric in &METRICS {
        let cell = |scores: Option<&Scores>| {
            scores
                .and_then(|s| s.get(metric.name))
                .map_or_else(|| "-".to_owned(), |value| shown(metric, value))
        };
        let (trained, untrained, real) =
            (cell(Some(&e.trained)), cell(Some(&e.untrained)), cell(e.real.as_ref()));
        let interval = e.trained.interval(metric.name);
        let interval = interval.map(|[low, high]| format!("[{low:.3}, {high:.3}]")).unwrap_or_default();
        let row = format!(
            "{:<34}{trained:>9}{interval:>16}{untrained:>11}{real:>9}  {}",
            metric.label,
            better(metric.better)
        );
        text += &format!("{}\n", row.trim_end());
    }
    for line in e.missing() {
        text += &format!("-: {line}\n");
    }
    text += "real: KID of held-out to training images, R-precision of each part's own; for the first three rows, the 27 real images\n";
    if let (Some(early), Some(kid)) = (e.early_kid, e.trained.get("kid")) {
        text += &format!(
            "KID, training captions, at one eighth of the run: {early:.3}; now {:.2} of it\n",
            kid / early
        );
    }
    text
}

/// Which numbers of a row are better, in a word.
fn better(better: Better) -> &'static str {
    match better {
        Better::Higher => "higher",
        Better::Lower => "lower",
        _ => "",
    }
}

fn shown(metric: &Metric, value: f64) -> String {
    if metric.count || value >= 10. { format!("{value:.0}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_row_and_what_was_not_measured_a_dash() {
        let evaluation = serde_json::json!({
            "preset": "tiny", "seed": 3, "step": 2, "samples": 16, "noise_seeds": 1,
            "trained": { "hue": null, "lab": 0.5, "shape": 0.5, "kid": 0.0546, "candidates": 4,
                "intervals": { "lab": [0.25, 0.75] } },
            "untrained": { "kid": 12.3 },
            "real": null,
            "early_kid": 0.1092,
        });
        let text = table(&serde_json::from_value(evaluation).unwrap());
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 3 + METRICS.len() + 6);
        let row = |label: &str| -> Vec<&str> {
            let found = rows.iter().find_map(|row| row.strip_prefix(label));
            found.unwrap_or_else(|| panic!("no row {label} in\n{text}")).split_whitespace().collect()
        };
        assert_eq!(row("KID, training captions"), ["0.055", "12", "-", "lower"]);
        assert_eq!(row("KID, held-out captions"), ["-", "-", "-", "lower"]);
        assert_eq!(row("nearest of nine colours (Lab)"), ["0.500", "[0.250,", "0.750]", "-", "-", "higher"]);
        assert_eq!(row("hue within 30 degrees"), ["-", "-", "-", "higher"]);
        assert_eq!(row("R-precision, training captions"), ["-", "-", "-", "higher"]);
        let why = "-: hue: the data set does not show each of the 27 prompts";
        assert!(text.contains(why), "{text}");
        assert!(text.contains("-: r_precision: all captions of the samples are the same"), "{text}");
        assert!(text.contains("-: held_out_kid, real: fewer than two images are held out"), "{text}");
        assert!(
            text.ends_with("KID, training captions, at one eighth of the run: 0.109; now 0.50 of it\n"),
            "{text}"
        );
    }
}
