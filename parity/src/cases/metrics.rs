//! FID, KID and inception score.
use super::Place;
use crate::{Golden, OUTPUT, Outcome, Row};
use anyhow::{Context, Result};
use drgan_metrics::{fid, inception_score, kid};
use std::collections::BTreeMap;

/// Rows of the first set in `fid_few` where the file does not say `few`: fewer than its columns.
const FEW: usize = 20;

/// Values of `metrics.json` beside the file.
pub(super) fn metrics(place: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let path = place.dir.join("metrics.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let values: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let (a, b) = (g.get("features_a")?, g.get("features_b")?);
    let setting = |name: &str, default: usize| {
        values.get(name).and_then(serde_json::Value::as_u64).map_or(default, |n| n as usize)
    };
    let few = setting("few", FEW).min(a.dim(0)?);
    let score = inception_score(g.get("logits")?, setting("splits", 10))?;
    let fid_ab = fid(a, b)?;
    let mut rows = Vec::new();
    for (name, value) in &values {
        let Some(want) = value.as_f64().filter(|_| !["splits", "few"].contains(&name.as_str())) else {
            continue;
        };
        // The distance of a set to itself is 0, up to rounding of what is subtracted: its scale is that of another's.
        let (got, scale) = match name.as_str() {
            "fid_ab" => (fid_ab, want),
            "fid_aa" => (fid(a, a)?, fid_ab),
            "fid_few" => (fid(&a.narrow(0, 0, few)?, b)?, want),
            "kid_ab" => (kid(a, b)?, want),
            "is_mean" => (score.mean, want),
            "is_std" => (score.std, want),
            _ => {
                rows.push(Row::failed(name, "no metric of that name".to_owned()));
                continue;
            }
        };
        let error = (got - want).abs() / scale.abs();
        rows.push(Row::new(name, Outcome::Compared { error, tolerance: OUTPUT }));
    }
    Ok(rows)
}
