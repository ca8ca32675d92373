//! docs/log.md says what a run's log holds: its tables name every key and event, and its example lines have no other.
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;

/// A key as the page's tables call it: `d64` is `dSIDE`, `real_kid` is `real_NAME`.
fn documented(key: &str) -> String {
    if let Some(prefix) = ["untrained_", "real_"].into_iter().find(|prefix| key.starts_with(prefix)) {
        return format!("{prefix}NAME");
    }
    match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
        kind if kind != key => format!("{kind}SIDE"),
        _ => key.to_owned(),
    }
}

/// The objects of a log, each of them flat.
fn lines(text: &str) -> Vec<Map<String, Value>> {
    let line = |line: &str| {
        let object: Map<String, Value> = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(object.values().all(|value| !value.is_array() && !value.is_object()), "not flat: {line}");
        object
    };
    text.lines().map(line).collect()
}

fn text<'a>(line: &'a Map<String, Value>, key: &str) -> &'a str {
    line.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Names in backticks in a column of the page's tables.
fn column(page: &str, index: usize) -> BTreeSet<String> {
    let cells =
        page.lines().filter(|line| line.starts_with("| `")).filter_map(|row| row.split('|').nth(index + 1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn the_page_on_the_log_names_every_key_and_event_of_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let more = ["--set", "evaluate.samples=12", "--set", "train.log_every=1"];
    let program = assert_cmd::cargo::cargo_bin("drgan");
    let mut train = std::process::Command::new(program);
    train.args(["train", "--preset", "tiny", "--out"]).arg(&run).args(more);
    let done = train.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/log.md")).unwrap();
    let log = lines(&std::fs::read_to_string(run.join("log.jsonl")).unwrap());
    let examples = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let examples = lines(examples);
    let known = column(&page, 0);
    for line in log.iter().chain(&examples) {
        for key in ["time", "event", "phase", "step"] {
            assert!(line.contains_key(key), "{key} is missing: {line:?}");
        }
        for key in line.keys() {
            assert!(known.contains(&documented(key)), "`{key}` is in no table of docs/log.md: {line:?}");
        }
    }
    let events = |lines: &[Map<String, Value>]| -> BTreeSet<String> {
        lines.iter().map(|line| text(line, "event").to_owned()).collect()
    };
    let shown = events(&examples);
    assert!(events(&log).is_subset(&shown), "an event without an example in docs/log.md");
    for event in column(&page, 1) {
        assert!(["any", "damsm", "gan"].contains(&event.as_str()) || shown.contains(&event), "{event}");
    }

    // What the tables promise of a run is there.
    let written: BTreeSet<String> =
        log.iter().flat_map(|line| line.keys()).map(|key| documented(key)).collect();
    let missing: Vec<_> = known.difference(&written).map(String::as_str).collect();
    let rare = ["augmentSIDE", "hue", "lab", "not_finite", "shape", "signSIDE"];
    assert!(missing.iter().all(|key| rare.contains(key)), "docs/log.md names keys of no run: {missing:?}");
    let of_gan =
        |line: &&Map<String, Value>| text(line, "phase") == "gan" && text(line, "event") == "progress";
    let steps: Vec<_> = log.iter().filter(of_gan).filter_map(|line| line["step"].as_u64()).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 6]);
    for line in log.iter().filter(of_gan) {
        let rates = ["lr", "lr_discriminator", "d64", "g64", "kl"].map(|key| line[key].as_f64());
        assert!(rates.iter().all(Option::is_some), "{line:?}");
    }
    let times: Vec<f64> = log.iter().filter_map(|line| line["time"].as_f64()).collect();
    assert!(times.len() == log.len() && times.is_sorted() && times[0] > 1e9, "{times:?}");

    // The last evaluation is that of evaluation.json.
    let measured = log.iter().rfind(|line| text(line, "event") == "evaluation").unwrap();
    let kept = std::fs::read(run.join("evaluation.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    assert_eq!(measured["kid"], kept["trained"]["kid"]);
    assert_eq!(measured["untrained_kid"], kept["untrained"]["kid"]);
    assert_eq!(measured["early_kid"], kept["early_kid"]);
}
