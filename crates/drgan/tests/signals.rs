//! Signals that ask a run to stop: it writes its checkpoint, and its exit status says that it was stopped.
#![cfg(unix)]
#![expect(clippy::print_stderr, reason = "a skipped check says so")]
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The binary.
fn drgan() -> PathBuf {
    assert_cmd::cargo::cargo_bin("drgan")
}

/// A run that goes on for long, started by the words in `by`, once its first GAN checkpoint is written.
fn endless(by: &[&str], run: &Path, more: &[&str]) -> Child {
    let drgan = drgan();
    let mut words = by.iter().map(Path::new).chain([drgan.as_path()]);
    let mut command = Command::new(words.next().expect("a program"));
    let child = command
        .args(words)
        .args([
            "train",
            "--preset",
            "tiny",
            "--no-evaluate",
            "--steps",
            "100000",
            "--set",
            "train.keep=1000",
            "--out",
        ])
        .arg(run)
        .args(more)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(run.with_extension("out")).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("the drgan binary starts");
    // Wait for the step loop, so that the signal meets it.
    let checkpoints = run.join("checkpoints");
    wait_for(|| {
        drgan_train::run::list(&checkpoints).is_ok_and(|all| all.last().is_some_and(|(step, _)| *step > 0))
    });
    child
}

/// Returns once something holds; it has two minutes.
#[track_caller]
fn wait_for(holds: impl Fn() -> bool) {
    let patience = Instant::now();
    while !holds() {
        assert!(patience.elapsed() < Duration::from_secs(120), "not in two minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether this process, and so what it starts, ignores SIGHUP; unknown is no.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|signals| signals & 1 != 0) // signal n is bit n - 1, and SIGHUP is 1
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|s| s.success()), "could not send the signal");
}

/// What the run has said, and the step of its last checkpoint.
fn ended(run: &Path) -> (String, u64) {
    let said = std::fs::read_to_string(run.with_extension("out")).expect("it has written");
    let all = drgan_train::run::list(&run.join("checkpoints")).expect("a folder of checkpoints");
    let (step, newest) = all.last().cloned().expect("one at least");
    drgan_train::Checkpoint::load(&newest).expect("it is whole");
    (said, step)
}

#[test]
fn a_signal_ends_a_run_with_a_checkpoint_and_its_own_status_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for (signal, status) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        if signal == "-HUP" && hangup_is_ignored() {
            eprintln!(
                "skipped: these tests run with SIGHUP ignored, as under nohup, and so do their programs"
            );
            continue;
        }
        let run = dir.path().join(format!("run{signal}"));
        let mut child = endless(&[], &run, &[]);
        send(signal, &child);
        assert_eq!(child.wait().unwrap().code(), Some(status), "{signal}");
        let (said, step) = ended(&run);
        assert!(said.contains(&format!("stopped at step {step}: ")), "{said}");
        assert!(said.contains("continue with: drgan train --resume "), "{said}");
        if signal == "-INT" {
            let steps = (step + 1).to_string();
            let words = ["train", "--no-evaluate", "--steps", &steps, "--resume"];
            let resumed = Command::new(drgan()).args(words).arg(&run).output().unwrap();
            assert!(resumed.status.success(), "{resumed:?}");
        }
    }
}

#[test]
fn a_second_ctrl_c_quits_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    // Steps of some seconds: the second signal comes long before the first one's checkpoint.
    let long = ["loader.batch=36", "generator.ngf=48", "train.checkpoint_every=1"];
    let mut child = endless(&[], &run, &long.map(|set| ["--set", set]).concat());
    // Signals that come within half a second are one, so it is repeated until it is heard again.
    while child.try_wait().unwrap().is_none() {
        send("-INT", &child);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!ended(&run).0.contains("stopped at step"), "it took its time");
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut child = endless(&["nohup"], &run, &[]);
    send("-HUP", &child);
    // Another checkpoint is written after it.
    let (_, step) = ended(&run);
    wait_for(|| ended(&run).1 > step + 3);
    assert!(child.try_wait().unwrap().is_none(), "the hangup ended it");
    send("-TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}
