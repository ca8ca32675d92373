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
    let e = failure(drgan().args(["train", "--preset", "birds"]));
    assert!(e.contains("--data"), "{e}");
    assert!(!out.exists(), "a mistake costs no run folder");
}

#[test]
fn values_out_of_range_are_refused_before_anything_runs() {
    for (set, said) in [
        ("loss.lambda=nan", "loss.lambda"),
        ("damsm.opt.lr=1e30", "damsm.opt.lr"),
        ("damsm.opt.betas=[nan, 2]", "damsm.opt.betas"),
        ("loader.load_side=100000", "loader.load_side"),
        ("evaluate.samples=9223372036854775807", "evaluate.samples"),
        ("generator.ngf=1000000000", "generator.ngf"),
        ("loss.dal=-3", "loss.dal"),
        ("loader.shift=500", "loader.shift"),
        ("damsm.decay=-1", "damsm.decay"),
        ("evaluate.seeds=0", "evaluate.seeds"),
        ("text.vocab_size=7", "not a setting"),
    ] {
        let e = failure(drgan().args(["train", "--preset", "tiny", "--dry-run", "--set", set]));
        assert!(e.contains(said), "{set}: {e}");
    }
}

#[test]
fn a_caption_without_a_word_is_named_with_its_image() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..12u8 {
        let name = |end: &str| dir.path().join(format!("p{i}.{end}"));
        image::RgbImage::from_pixel(8, 8, image::Rgb([i, 0, 0])).save(name("png")).unwrap();
        std::fs::write(name("txt"), if i == 5 { "\u{1f426} \u{2764}\u{fe0f}" } else { "a red square" })
            .unwrap();
    }
    let mut command = drgan();
    command.args(["train", "--preset", "tiny", "--dry-run", "--data"]).arg(dir.path());
    let e = failure(&mut command);
    assert!(e.contains("p5") && e.contains("caption"), "{e}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let e = failure(&mut train_tiny(
        &run,
        &["--set", "discriminator_opt.lr=0.5", "--set", "train.checkpoint_every=1"],
    ));
    assert!(e.contains("at gan step") && e.contains("step-000000.safetensors"), "{e}");
    let kept = std::fs::read_dir(run.join("checkpoints")).unwrap().flatten();
    let kept: Vec<_> = kept.filter(|f| f.path().extension().is_some_and(|x| x == "safetensors")).collect();
    assert!(!kept.is_empty());
    for f in kept {
        drgan_train::Checkpoint::load(&f.path()).unwrap();
    }
    // It is good: with a rate that is none, the run goes on from it.
    let mut again = drgan();
    again
        .args(["train", "--no-evaluate", "--steps", "2", "--set", "discriminator_opt.lr=1e-4", "--resume"])
        .arg(&run);
    success(&mut again);
}

#[test]
fn a_run_that_does_not_fit_into_memory_names_the_setting_to_lower() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let large = ["--set", "generator.ngf=4096", "--set", "loader.batch=16"];
    let e = failure(&mut train_tiny(&run, &large));
    assert!(e.contains("GiB are needed") && e.contains("lower `generator.ngf` from 4096 to "), "{e}");
    assert!(e.contains("--force"), "{e}");
    assert!(!run.exists(), "a refusal leaves no run folder");
    let (shown, _) = success(&mut train_tiny(&run, &["--dry-run"]));
    assert!(shown.contains("memory: about 0.2 GiB"), "{shown}");
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
        .expect("the drgan binary starts");
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
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|s| s.success()), "could not send the signal");
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_quits_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // Steps of a second or so: the second signal comes long before the first one's checkpoint.
    let mut child =
        endless(&dir.path().join("run"), &["--set", "loader.batch=36", "--set", "generator.ngf=24"]);
    // Signals that meet while one is pending become one, so the second is repeated until it is heard.
    while child.try_wait().unwrap().is_none() {
        interrupt(&child);
        std::thread::sleep(Duration::from_millis(10));
    }
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
    let newest = drgan_train::run::list(&run.join("checkpoints")).unwrap().pop().unwrap();
    let steps = (newest.0 + 1).to_string();
    success(drgan().args(["train", "--no-evaluate", "--steps", &steps, "--resume"]).arg(&run));
}

#[test]
fn an_image_that_does_not_decode_is_named_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("images");
    std::fs::create_dir(&folder).unwrap();
    let words = ["red", "green", "blue", "dark", "light"];
    for i in 0..120u8 {
        let color = image::Rgb([i * 2, 255 - i, i.wrapping_mul(37)]);
        image::RgbImage::from_pixel(16, 16, color).save(folder.join(format!("{i}.png"))).unwrap();
        let caption = format!("a {} square number {i}", words[usize::from(i) % words.len()]);
        std::fs::write(folder.join(format!("{i}.txt")), caption).unwrap();
    }
    std::fs::write(folder.join("7.png"), b"not an image").unwrap();
    let data = folder.to_str().unwrap();
    let more = ["--data", data, "--set", "data.limit=0", "--steps", "2"];
    let (_, stderr) = success(&mut train_tiny(&dir.path().join("run"), &more));
    assert!(stderr.contains("7.png") && stderr.contains("left out"), "{stderr}");
    for i in 10..13 {
        std::fs::write(folder.join(format!("{i}.png")), b"not an image").unwrap();
    }
    let e = failure(&mut train_tiny(&dir.path().join("run2"), &more));
    assert!(e.contains("11.png") && e.contains('%'), "{e}");
}
