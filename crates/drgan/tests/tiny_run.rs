//! The whole job on the `tiny` preset: every phase, twice the same, stopped and resumed, sampled.
mod common;
use common::{drgan, failure, success, train_tiny};
use std::path::Path;

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_same_seed_gives_the_same_checkpoint_and_a_resumed_run_too() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, again, halves) =
        (dir.path().join("whole"), dir.path().join("again"), dir.path().join("halves"));
    let (stdout, _) = success(&mut train_tiny(&whole, &[]));
    for said in ["sample grid", "checkpoint", "log"] {
        assert!(stdout.contains(said), "{said} is missing in: {stdout}");
    }
    success(&mut train_tiny(&again, &[]));
    let last = |run: &Path| bytes(&run.join("checkpoints/step-000006.safetensors"));
    assert!(last(&whole) == last(&again), "the same seed gave another checkpoint");

    // Learning rates follow the planned length, so the plan stays: it is cut by removing the later checkpoints.
    success(&mut train_tiny(&halves, &[]));
    std::fs::remove_file(halves.join("checkpoints/step-000006.safetensors")).unwrap();
    std::fs::write(halves.join("checkpoints/latest"), "step-000003.safetensors").unwrap();
    success(drgan().args(["train", "--no-evaluate", "--resume"]).arg(&halves));
    assert!(last(&whole) == last(&halves), "3 steps, a restart and 3 steps are not 6 steps");
}

/// The generator's values in a run's checkpoint of one step.
fn generator(run: &Path) -> Vec<(String, Vec<f32>)> {
    let path = run.join("checkpoints/step-000001.safetensors");
    let checkpoint = drgan_train::Checkpoint::load(&path).expect("the run has written it");
    let values = |(name, t): (String, candle_core::Tensor)| {
        let values = t.flatten_all().and_then(|t| t.to_vec1());
        (name, values.expect("the generator is f32"))
    };
    checkpoint.section("g").into_iter().map(values).collect()
}

#[test]
fn another_seed_gives_another_generator() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    success(&mut train_tiny(&a, &["--steps", "1"]));
    success(&mut train_tiny(&b, &["--steps", "1", "--seed", "1"]));
    let (a, b) = (generator(&a), generator(&b));
    assert!(!a.is_empty() && a.len() == b.len() && a != b, "the seed was ignored");
}

#[test]
fn samples_come_from_a_run_and_unknown_words_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_tiny(&run, &["--steps", "1"]));
    let sample = |out: &str, more: &[&str]| {
        let mut command = drgan();
        command.arg("sample").args(more).arg("--run").arg(&run).arg("--out").arg(dir.path().join(out));
        command
    };
    let (_, stderr) = success(&mut sample("one.png", &["a red xylograph", "--count", "2"]));
    assert!(stderr.contains("xylograph") && !stderr.contains("red,"), "{stderr}");
    success(&mut sample("two.png", &["a red heart", "--stages", "--attention", "--count", "1"]));
    let size = |name: &str| image::image_dimensions(dir.path().join(name)).unwrap();
    assert!(size("two.png").0 > size("one.png").0, "stages and attention are shown beside the sample");
    let e = failure(&mut sample("three.png", &["xylograph qwertz"]));
    assert!(e.contains("xylograph qwertz"), "{e}");
    assert!(!dir.path().join("three.png").exists());
    // The same caption, seed and number give the same image each time.
    success(&mut sample("alone.png", &["a red heart", "--count", "1"]));
    success(&mut sample("alone2.png", &["a red heart", "--count", "1"]));
    assert!(bytes(&dir.path().join("alone.png")) == bytes(&dir.path().join("alone2.png")));
    // The kernels draw what the reference draws in double precision, to one level of 255.
    success(&mut sample("exact.png", &["a red heart", "--count", "1", "--precision", "f64"]));
    let levels = |name: &str| image::open(dir.path().join(name)).unwrap().to_rgb8().into_raw();
    let (fast, exact) = (levels("alone.png"), levels("exact.png"));
    assert!(fast.len() == exact.len() && fast.iter().zip(&exact).all(|(f, e)| f.abs_diff(*e) <= 1));
}

#[test]
fn a_run_is_evaluated_twice_the_same_and_the_table_shows_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_tiny(&run, &["--steps", "1"]));
    let evaluate = || {
        let (stdout, _) = success(drgan().args(["evaluate", "--run"]).arg(&run));
        (stdout, bytes(&run.join("evaluation.json")))
    };
    let (table, written) = evaluate();
    let found: serde_json::Value = serde_json::from_slice(&written).unwrap();
    for source in ["trained", "untrained", "real"] {
        for measure in ["kid", "pair_distance", "r_precision"] {
            let value = found[source][measure].as_f64().unwrap();
            assert!(value.is_finite(), "{source} {measure}: {value}");
            let shown = if value >= 10. { format!("{value:.0}") } else { format!("{value:.3}") };
            assert!(table.contains(&shown), "{source} {measure} {shown} is missing in:\n{table}");
        }
    }
    assert!(evaluate() == (table, written), "the second evaluation gave something else");
}

#[test]
fn a_run_is_never_overwritten_and_a_changed_configuration_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_tiny(&run, &["--steps", "1"]));
    let e = failure(&mut train_tiny(&run, &[]));
    assert!(e.contains("--resume"), "{e}");
    let e = failure(drgan().args(["train", "--resume"]).arg(&run).args(["--set", "generator.ngf=16"]));
    assert!(e.contains("generator.ngf"), "{e}");
    let e = failure(drgan().args(["train", "--resume"]).arg(dir.path().join("nowhere")));
    assert!(e.contains("nowhere"), "{e}");
}

#[test]
fn a_truncated_checkpoint_is_passed_over_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_tiny(&run, &[]));
    let last = run.join("checkpoints/step-000006.safetensors");
    let (said, _) = success(drgan().arg("inspect").arg(&last));
    let line = format!(
        "checkpoint of a run: {}, preset tiny, recipe 3, seed 0; generator in training, 6 steps done",
        run.display()
    );
    assert!(said.ends_with(&format!("{line}\n")), "{said}");
    let half = bytes(&last).len() / 2;
    std::fs::write(&last, &bytes(&last)[..half]).unwrap();
    let mut command = drgan();
    command.args(["sample", "a red heart", "--run"]).arg(&run).arg("--out").arg(dir.path().join("x.png"));
    let (stdout, stderr) = success(&mut command);
    assert!(stderr.contains("step-000006") && stderr.contains("step-000003"), "{stderr}");
    assert!(stdout.contains("step 3"), "{stdout}");
}

#[test]
fn the_dry_run_shows_the_configuration_sizes_and_time_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = drgan();
    command.current_dir(dir.path()).args(["train", "--preset", "tiny", "--dry-run", "--set", "loss.dal=7"]);
    let (stdout, _) = success(&mut command);
    for said in [
        "dal = 7.0",
        "generator",
        "discriminator 64",
        "M parameters",
        "captions: ",
        "expected on this machine",
    ] {
        assert!(stdout.contains(said), "{said} is missing in: {stdout}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
