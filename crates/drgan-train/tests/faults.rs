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

/// A run that goes on for long, once its first GAN checkpoint is written.
#[cfg(unix)]
fn endless(run: &std::path::Path, more: &[&str]) -> std::process::Child {
    let child = std::process::Command::new(assert_cmd::cargo::cargo_bin("drgan"))
        .args(["train", "--preset", "tiny", "--no-evaluate", "--steps", "100000", "--out"])
        .arg(run)
        .args(more)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Wait for the step loop, so that the signal meets it.
    let first = run.join("checkpoints/step-000003.safetensors");
    let patience = Instant::now();
    while !first.exists() && patience.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(first.exists(), "no checkpoint in two minutes");
    child
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_quits_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // Steps of a second or so: the second signal comes long before the first one's checkpoint.
    let mut child =
        endless(&dir.path().join("run"), &["--set", "loader.batch=36", "--set", "generator.ngf=24"]);
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(50));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_a_checkpoint_and_stops_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut child = endless(&run, &[]);
    interrupt(&child);
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    let newest = drgan_train::checkpoint::list(&run.join("checkpoints")).unwrap().pop().unwrap();
    let steps = (newest.0 + 1).to_string();
    success(drgan().args(["train", "--no-evaluate", "--steps", &steps, "--resume"]).arg(&run));
}

#[test]
fn a_picture_that_does_not_decode_is_named_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pictures");
    std::fs::create_dir(&folder).unwrap();
    let words = ["red", "green", "blue", "dark", "light"];
    for i in 0..120u8 {
        let colour = image::Rgb([i * 2, 255 - i, i.wrapping_mul(37)]);
        image::RgbImage::from_pixel(16, 16, colour).save(folder.join(format!("{i}.png"))).unwrap();
        let caption = format!("a {} square number {i}", words[usize::from(i) % words.len()]);
        std::fs::write(folder.join(format!("{i}.txt")), caption).unwrap();
    }
    std::fs::write(folder.join("7.png"), b"not a picture").unwrap();
    let data = folder.to_str().unwrap();
    let more = ["--data", data, "--set", "data.limit=0", "--steps", "2"];
    let (_, stderr) = success(&mut train_tiny(&dir.path().join("run"), &more));
    assert!(stderr.contains("7.png") && stderr.contains("left out"), "{stderr}");
    for i in 10..13 {
        std::fs::write(folder.join(format!("{i}.png")), b"not a picture").unwrap();
    }
    let e = failure(&mut train_tiny(&dir.path().join("run2"), &more));
    assert!(e.contains("11.png") && e.contains('%'), "{e}");
}
