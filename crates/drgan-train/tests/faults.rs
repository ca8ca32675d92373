//! Bad input and faults: a clear error, nothing lost.
mod common;
use common::{drgan, failure, success, train_tiny};
use std::time::{Duration, Instant};

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let e = failure(drgan().args(["train", "--preset", "emoji"]));
    assert!(e.contains("emoji-64"), "{e}");
    let e = failure(&mut train_tiny(&dir.path().join("r"), &["--set", "train.step=4"]));
    assert!(e.contains("train.step") && e.contains("steps"), "{e}");
}

#[test]
fn missing_data_and_too_large_a_batch_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("r");
    let e = failure(&mut train_tiny(&out, &["--data", "no/such.tar"]));
    assert!(e.contains("no/such.tar"), "{e}");
    let e = failure(&mut train_tiny(&out, &["--set", "loader.batch=64"]));
    assert!(e.contains("64") && e.contains("batch"), "{e}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let e = failure(&mut train_tiny(
        &run,
        &["--set", "generator_opt.lr=1e30", "--set", "train.checkpoint_every=1"],
    ));
    assert!(e.contains("at step") && e.contains("checkpoint"), "{e}");
    let kept = std::fs::read_dir(run.join("checkpoints")).unwrap().flatten();
    let kept: Vec<_> = kept.filter(|f| f.path().extension().is_some_and(|x| x == "safetensors")).collect();
    assert!(!kept.is_empty());
    for f in kept {
        drgan_train::Checkpoint::load(&f.path()).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_a_checkpoint_and_stops_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("drgan"))
        .args(["train", "--preset", "tiny", "--no-evaluate", "--steps", "100000", "--out"])
        .arg(&run)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Wait for the first GAN checkpoint, so that the signal meets the step loop.
    let first = run.join("checkpoints/step-000003.safetensors");
    let patience = Instant::now();
    while !first.exists() && patience.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(first.exists(), "no checkpoint in two minutes");
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    let newest = drgan_train::checkpoint::list(&run.join("checkpoints")).unwrap().pop().unwrap();
    let steps = (newest.0 + 1).to_string();
    success(drgan().args(["train", "--no-evaluate", "--steps", &steps, "--resume"]).arg(&run));
}
