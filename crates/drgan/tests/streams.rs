//! stdout and stderr that cannot be written, as `| head` and a full disk make them: a listing ends, work goes on.
#![cfg(unix)]
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A place where nothing can be written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Broken {
    /// A pipe whose reader is gone.
    Pipe,
    /// A device that says that it is full.
    Full,
}

impl Broken {
    fn stream(self) -> Stdio {
        match self {
            Self::Pipe => std::io::pipe().expect("a pipe").1.into(),
            Self::Full => {
                std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full opens").into()
            }
        }
    }

    /// All of them that this system has.
    fn all() -> Vec<Self> {
        let full = Path::new("/dev/full").exists();
        if !full {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: no /dev/full here\n");
        }
        [Self::Pipe].into_iter().chain(full.then_some(Self::Full)).collect()
    }
}

fn drgan() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin("drgan"))
}

/// A run of one step in `run`.
fn train(run: &Path) {
    let words = ["train", "--preset", "tiny", "--no-evaluate", "--steps", "1", "--out"];
    assert!(drgan().args(words).arg(run).output().is_ok_and(|done| done.status.success()));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command whose stdout is broken.
fn without_stdout(command: &mut Command, broken: Broken) -> Output {
    let child = command.stdout(broken.stream()).stderr(Stdio::piped()).spawn();
    child.and_then(std::process::Child::wait_with_output).expect("the drgan binary runs")
}

#[test]
fn a_listing_ends_quietly_where_its_reader_is_gone_and_complains_of_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    train(&run);
    let weights = run.join("checkpoints/step-000001.safetensors");
    let (weights, folder) = (weights.to_str().unwrap(), dir.path().to_str().unwrap());
    let listings: [&[&str]; 7] = [
        &["inspect", weights],
        &["train", "--preset", "tiny", "--dry-run"],
        &["pretrain", "--preset", "tiny", "--dry-run"],
        &["data", "verify", folder],
        &["--help"],
        &["data", "verify", "--help"],
        &["--version"],
    ];
    for words in listings {
        for broken in Broken::all() {
            let done = without_stdout(drgan().args(words), broken);
            let said = text(&done.stderr);
            match broken {
                Broken::Pipe => {
                    assert_eq!(done.status.code(), Some(141), "{words:?}: {said}");
                    assert!(!said.contains("panicked") && !said.contains("error"), "{words:?}: {said}");
                }
                Broken::Full => {
                    assert_eq!(done.status.code(), Some(1), "{words:?}: {said}");
                    assert!(said.contains("error: stdout: cannot be written: "), "{words:?}: {said}");
                }
            }
        }
    }
}

#[test]
fn a_mistake_has_its_status_where_nobody_can_be_told() {
    for broken in Broken::all() {
        let status = |words: &[&str]| {
            let mut command = drgan();
            command.args(words).stdout(broken.stream()).stderr(broken.stream());
            command.status().unwrap().code()
        };
        assert_eq!(status(&["train", "--no-such-flag"]), Some(2), "{broken:?}");
        assert_eq!(status(&["inspect", "no/such/file"]), Some(1), "{broken:?}");
    }
}

#[test]
fn training_goes_on_without_streams_and_its_log_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for broken in Broken::all() {
        let run = dir.path().join(format!("{broken:?}"));
        let train = ["train", "--preset", "tiny", "--out"];
        let mut command = drgan();
        command.args(train).arg(&run).stdout(broken.stream()).stderr(broken.stream());
        assert_eq!(command.status().unwrap().code(), Some(0), "{broken:?}");
        assert!(
            run.join("checkpoints/step-000006.safetensors").is_file()
                && run.join("evaluation.json").is_file()
        );
        let log = std::fs::read_to_string(run.join("log.jsonl")).unwrap();
        for stream in ["stderr: cannot be written", "stdout: cannot be written"] {
            let lines = log.lines().filter(|line| line.contains(stream));
            assert!(lines.clone().all(|line| line.contains("\"warning\"")));
            assert_eq!(lines.count(), 1, "{stream}:\n{log}");
        }
    }
}

#[test]
fn other_work_ends_well_without_stdout() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    train(&run);
    let image = dir.path().join("x.png");
    let (run, image) = (run.to_str().unwrap(), image.to_str().unwrap());
    let encoders = dir.path().join("encoders");
    let encoders = encoders.to_str().unwrap();
    let work: [&[&str]; 3] = [
        &["evaluate", "--run", run],
        &["sample", "a red heart", "--run", run, "--out", image],
        &["pretrain", "--preset", "tiny", "--out", encoders],
    ];
    for broken in Broken::all() {
        let _ = std::fs::remove_dir_all(encoders);
        for words in work {
            let done = without_stdout(drgan().args(words), broken);
            let said = text(&done.stderr);
            assert_eq!(done.status.code(), Some(0), "{words:?}: {said}");
            let told = said.contains("warning: stdout: cannot be written");
            assert_eq!(told, broken == Broken::Full || words[0] == "pretrain", "{words:?}: {said}");
        }
        std::fs::remove_file(image).unwrap();
    }
}
