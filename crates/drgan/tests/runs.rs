//! The folder of a run: who may write there, what it continues with, what is left of a run that failed.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
mod common;
use common::{drgan, failure, success, train_tiny};
use drgan_train::{Checkpoint, RunDir};
use std::path::Path;

/// Twelve pictures with captions; all of the set is trained on but what its keys hold out.
fn pictures(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for i in 0..24u8 {
        let color = image::Rgb([i * 10, 255 - i, i.wrapping_mul(37)]);
        image::RgbImage::from_pixel(16, 16, color).save(folder.join(format!("p{i:02}.png"))).unwrap();
        std::fs::write(folder.join(format!("p{i:02}.txt")), format!("a square number {i}")).unwrap();
    }
}

/// Steps of the GAN that the log tells of, in its order.
fn logged_steps(run: &Path) -> Vec<u64> {
    let log = std::fs::read_to_string(run.join("log.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let steps = lines.filter(|line| line["phase"] == "gan" && line["event"] == "progress");
    steps.filter_map(|line| line["step"].as_u64()).collect()
}

fn resume(run: &Path, more: &[&str]) -> assert_cmd::Command {
    let mut command = drgan();
    command.args(["train", "--no-evaluate", "--resume"]).arg(run).args(more);
    command
}

#[test]
fn one_process_works_in_a_run_and_the_second_is_told_which() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_tiny(&run, &["--steps", "1"]));
    let held = RunDir::open(&run).unwrap().lock().unwrap();
    let before = std::fs::read(run.join("log.jsonl")).unwrap();
    for command in [&mut resume(&run, &["--steps", "2"]), drgan().args(["pretrain", "--resume"]).arg(&run)] {
        let e = failure(command);
        let who = format!("in use by process {}", std::process::id());
        assert!(e.contains(run.to_str().unwrap()) && e.contains(&who), "{e}");
    }
    assert_eq!(std::fs::read(run.join("log.jsonl")).unwrap(), before);
    // Reading needs no lock.
    let mut sample = drgan();
    sample.args(["sample", "a red heart", "--run"]).arg(&run).arg("--out").arg(dir.path().join("x.png"));
    success(&mut sample);
    drop(held);
    success(&mut resume(&run, &["--steps", "2"]));
}

#[test]
fn a_resumed_log_goes_on_where_the_run_does() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_tiny(&run, &[]));
    assert_eq!(logged_steps(&run), [1, 2, 3, 4, 5, 6]);
    std::fs::remove_file(run.join("checkpoints/step-000006.safetensors")).unwrap();
    // What a system that lost power may leave: it is said, and the newest good one found.
    std::fs::write(run.join("checkpoints/latest"), "").unwrap();
    let log = std::fs::OpenOptions::new().append(true).open(run.join("log.jsonl"));
    std::io::Write::write_all(&mut log.unwrap(), b"{\"event\":\"progress\",\"pha").unwrap();
    let (_, said) = success(&mut resume(&run, &[]));
    assert!(said.contains("lines after step 3 are cut off"), "{said}");
    assert!(said.contains("checkpoints/latest is damaged (it is empty); continuing from"), "{said}");
    assert_eq!(logged_steps(&run), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn moved_data_continue_a_run_and_changed_data_or_words_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (run, here, there) = (dir.path().join("run"), dir.path().join("here"), dir.path().join("there"));
    pictures(&here);
    let data = ["--data", here.to_str().unwrap(), "--set", "data.limit=0", "--steps", "1"];
    success(&mut train_tiny(&run, &data));
    std::fs::rename(&here, &there).unwrap();
    let moved = ["--steps", "2", "--data", there.to_str().unwrap()];
    success(&mut resume(&run, &moved));
    let evaluate = |more: &[&str]| {
        let mut command = drgan();
        command.args(["evaluate", "--run"]).arg(&run).args(more);
        command
    };
    std::fs::rename(&there, &here).unwrap();
    let e = failure(&mut evaluate(&[]));
    assert!(e.contains("there: not found"), "{e}");
    success(&mut evaluate(&["--data", here.to_str().unwrap()]));
    std::fs::rename(&here, &there).unwrap();
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains(there.to_str().unwrap()), "the run knows where its data are: {config}");

    let captions = ["p03.txt", "p04.txt"].map(|name| there.join(name));
    let texts = captions.clone().map(|path| std::fs::read(path).unwrap());
    captions.iter().zip(texts.iter().rev()).for_each(|(path, text)| std::fs::write(path, text).unwrap());
    let log = std::fs::read(run.join("log.jsonl")).unwrap();
    let e = failure(&mut resume(&run, &["--steps", "3"]));
    assert!(e.contains("captions") && e.contains("there: changed since the run in"), "{e}");
    assert!(e.ends_with(&failure(&mut evaluate(&[]))), "evaluate says the same");
    captions.iter().zip(&texts).for_each(|(path, text)| std::fs::write(path, text).unwrap());
    image::RgbImage::from_pixel(16, 16, image::Rgb([1, 2, 3])).save(there.join("p05.png")).unwrap();
    assert!(failure(&mut resume(&run, &["--steps", "3"])).contains("was begun: pictures;"));
    assert_eq!(std::fs::read(run.join("log.jsonl")).unwrap(), log, "a refusal changes nothing");

    // A run of before there were fingerprints goes on as it did, and knows its data by their path.
    std::fs::remove_file(run.join("fingerprint.json")).unwrap();
    success(&mut resume(&run, &["--steps", "3"]));
    let e = failure(&mut resume(&run, &["--steps", "4", "--data", here.to_str().unwrap()]));
    assert!(e.contains("data.path"), "{e}");
    let e = failure(&mut evaluate(&["--data", here.to_str().unwrap()]));
    assert!(e.contains("was begun: the path ("), "{e}");
}

#[test]
fn an_edited_vocabulary_is_refused_wherever_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_tiny(&run, &["--steps", "1"]));
    let tokenizer = run.join("tokenizer.json");
    let whole = std::fs::read_to_string(&tokenizer).unwrap();
    let edited = whole.replacen("\"a\"", "\"aa\"", 1);
    assert_ne!(edited, whole);
    std::fs::write(&tokenizer, edited).unwrap();
    let e = failure(&mut resume(&run, &["--steps", "2"]));
    assert!(e.contains("tokenizer.json") && e.contains("the vocabulary;") && !e.contains("--data"), "{e}");
    let mut sample = drgan();
    sample.args(["sample", "a red heart", "--run"]).arg(&run).arg("--out").arg(dir.path().join("x.png"));
    assert!(failure(&mut sample).contains("tokenizer.json"));
    std::fs::remove_file(&tokenizer).unwrap();
    let log = std::fs::read(run.join("log.jsonl")).unwrap();
    std::fs::write(run.join("checkpoints/latest"), "step-000000.safetensors").unwrap();
    assert!(failure(&mut resume(&run, &["--steps", "2"])).contains("tokenizer.json: cannot be read"));
    assert_eq!(std::fs::read(run.join("log.jsonl")).unwrap(), log, "a refusal changes nothing");
    std::fs::write(&tokenizer, whole).unwrap();
    success(&mut resume(&run, &["--steps", "2"]));
}

#[test]
fn the_newest_run_is_one_that_can_be_drawn_with_and_the_first_line_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let train = |out: &str, more: &[&str]| {
        let mut command = drgan();
        command.current_dir(root).args(["train", "--preset", "tiny", "--no-evaluate", "--steps", "1"]);
        command.args(["--out", out]).args(more);
        command
    };
    let sample = |more: &[&str]| {
        let mut command = drgan();
        command.current_dir(root).args(["sample", "a red heart", "--count", "1"]).args(more);
        command
    };
    let latest = ["--run", "latest"];
    let e = failure(&mut sample(&latest));
    assert!(e.contains("no run folder") && !root.join("runs").exists(), "{e}");
    // Without a run there is the model in the program.
    let (stdout, stderr) = success(&mut sample(&[]));
    assert!(stdout.starts_with("model pretrained\n") && !stderr.contains("--run"), "{stdout}{stderr}");
    success(&mut train("runs/a", &[]));
    success(&mut train("runs/b", &[]));
    // The newest one has no checkpoint that can be read.
    std::fs::create_dir_all(root.join("runs/c/checkpoints")).unwrap();
    std::fs::copy(root.join("runs/b/config.toml"), root.join("runs/c/config.toml")).unwrap();
    let (stdout, stderr) = success(&mut sample(&latest));
    assert_eq!(stdout.lines().next(), Some("run runs/b, checkpoint step-000001.safetensors"), "{stdout}");
    assert!(stderr.contains("runs/c") && stderr.contains("passed over"), "{stderr}");
    let (stdout, stderr) = success(&mut sample(&[]));
    assert!(stdout.starts_with("model pretrained\n") && stderr.contains("--run latest"), "{stdout}{stderr}");
    std::fs::remove_dir_all(root.join("runs/a")).unwrap();
    std::fs::write(root.join("runs/b/checkpoints/step-000001.safetensors"), "").unwrap();
    std::fs::remove_file(root.join("runs/b/checkpoints/step-000000.safetensors")).unwrap();
    let e = failure(&mut sample(&latest));
    assert!(e.contains("no run in it can be drawn with") && e.contains("runs/b"), "{e}");
}

#[test]
fn a_run_that_is_refused_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    pictures(&data);
    for i in 3..9 {
        std::fs::write(data.join(format!("p{i:02}.png")), b"not a picture").unwrap();
    }
    let more = ["--data", data.to_str().unwrap(), "--set", "data.limit=0", "--steps", "1"];
    let e = failure(&mut train_tiny(&dir.path().join("runs/run"), &more));
    assert!(e.contains("do not decode"), "{e}");
    assert!(!dir.path().join("runs").exists(), "{:?}", std::fs::read_dir(dir.path().join("runs")));
}

#[test]
fn every_good_checkpoint_is_not_pruned_for_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_tiny(&run, &["--set", "train.checkpoint_every=2"]));
    let at = |step: u64| run.join(format!("checkpoints/step-{step:06}.safetensors"));
    let mut bytes = std::fs::read(at(6)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4].fill(0xff);
    std::fs::write(at(6), bytes).unwrap();
    success(&mut resume(&run, &["--steps", "5", "--set", "train.keep=1"]));
    Checkpoint::load(&at(5)).expect("what was just written stays");
    success(&mut resume(&run, &["--steps", "6"]));
    Checkpoint::load(&at(6)).unwrap();
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    fn fifo(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn what_stands_in_place_of_a_runs_files_is_refused_and_never_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        success(&mut train_tiny(&run, &["--steps", "1"]));
        let latest = run.join("checkpoints/latest");
        for (place, said) in
            [("/dev/zero", "pipe or device"), ("/etc", "folder"), ("../../elsewhere", "No such file")]
        {
            std::fs::remove_file(&latest).unwrap();
            symlink(place, &latest).unwrap();
            let e = failure(&mut resume(&run, &["--steps", "2"]));
            assert!(e.contains("latest") && e.contains(said) && e.contains("remove it"), "{e}");
        }
        std::fs::remove_file(&latest).unwrap();
        fifo(&latest);
        assert!(failure(&mut resume(&run, &["--steps", "2"])).contains("latest"));
        std::fs::remove_file(&latest).unwrap();
        fifo(&run.join("evaluation.json"));
        assert!(failure(&mut resume(&run, &["--steps", "2"])).contains("evaluation.json: is a pipe"));
        std::fs::remove_file(run.join("evaluation.json")).unwrap();
        success(&mut resume(&run, &["--steps", "2"]));

        let out = dir.path().join("null.png");
        symlink("/dev/null", &out).unwrap();
        let mut sample = drgan();
        sample.args(["sample", "a red heart", "--count", "1", "--run"]).arg(&run).arg("--out").arg(&out);
        let e = failure(&mut sample);
        assert!(e.contains("null.png") && e.contains("device"), "{e}");
        assert!(std::fs::symlink_metadata(&out).unwrap().is_symlink());
    }

    fn endless(run: &Path) -> Child {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("drgan"));
        command.args(["train", "--preset", "tiny", "--no-evaluate", "--steps", "100000", "--out"]).arg(run);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let patience = Instant::now();
        while !run.join("checkpoints/step-000003.safetensors").exists() {
            assert!(patience.elapsed() < Duration::from_secs(120), "no checkpoint in two minutes");
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    }

    #[test]
    fn a_folder_that_is_removed_during_training_ends_it_with_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let (run, gone) = (dir.path().join("run"), dir.path().join("gone"));
        let child = endless(&run);
        std::fs::rename(&run, &gone).unwrap();
        let output = child.wait_with_output().unwrap();
        let e = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && e.contains("removed or replaced"), "{e}");
        assert!(!run.exists(), "it is not made again");
    }

    #[test]
    fn a_log_that_is_removed_during_training_ends_it_with_its_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let child = endless(&run);
        std::fs::remove_file(run.join("log.jsonl")).unwrap();
        let output = child.wait_with_output().unwrap();
        let e = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && e.contains("log.jsonl: removed or replaced"), "{e}");
        assert!(e.contains("continue with: drgan train --resume"), "{e}");
        let newest = drgan_train::run::list(&run.join("checkpoints")).unwrap().pop().unwrap().0;
        success(&mut resume(&run, &["--steps", &(newest + 1).to_string()]));
        assert_eq!(logged_steps(&run).last(), Some(&(newest + 1)));
    }

    #[test]
    fn a_killed_process_leaves_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let mut child = endless(&run);
        for command in [&mut resume(&run, &[]), &mut train_tiny(&run, &[])] {
            let e = failure(command);
            assert!(e.contains(&format!("in use by process {}", child.id())), "{e}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let newest = drgan_train::run::list(&run.join("checkpoints")).unwrap().pop().unwrap().0;
        success(&mut resume(&run, &["--steps", &(newest + 1).to_string()]));
        let steps = logged_steps(&run);
        assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
    }

    #[test]
    fn a_limit_of_a_files_size_is_an_error_and_the_run_goes_on_without_it() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        success(&mut train_tiny(&run, &["--steps", "1"]));
        let size = |name: &str| std::fs::metadata(run.join("checkpoints").join(name)).unwrap().len();
        let (of_encoders, of_gan) = (size("step-000000.safetensors"), size("step-000001.safetensors"));
        let nothing = dir.path().join("nothing");
        let mut shell = assert_cmd::Command::new("sh");
        shell.args(["-c", "ulimit -f 0; exec \"$@\"", "sh"]).arg(assert_cmd::cargo::cargo_bin("drgan"));
        shell.args(["train", "--preset", "tiny", "--steps", "1", "--out"]).arg(nothing.join("run"));
        let e = failure(&mut shell);
        assert!(e.contains("run.lock: cannot be locked: ") && !nothing.exists(), "{e}");
        // Blocks of 512 bytes: room for the encoders' checkpoint, none for the GAN's.
        let blocks = (of_encoders + of_gan) / 2 / 512;
        assert!(blocks * 512 > of_encoders);
        let limited = dir.path().join("limited");
        let mut shell = assert_cmd::Command::new("sh");
        shell.args(["-c", "ulimit -f \"$0\"; exec \"$@\"", &blocks.to_string()]);
        shell.arg(assert_cmd::cargo::cargo_bin("drgan"));
        shell.args(["train", "--preset", "tiny", "--no-evaluate", "--steps", "1", "--out"]).arg(&limited);
        let output = shell.assert().code(1).get_output().clone();
        let e = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(e.contains("step-000001.safetensors: cannot be written") && e.contains("too large"), "{e}");
        let left: Vec<_> = std::fs::read_dir(limited.join("checkpoints")).unwrap().flatten().collect();
        assert_eq!(left.len(), 2, "the encoders' checkpoint and `latest`: {left:?}");
        success(&mut resume(&limited, &[]));
        let last = |run: &Path| std::fs::read(run.join("checkpoints/step-000001.safetensors")).unwrap();
        assert!(last(&run) == last(&limited));
    }

    #[test]
    fn names_move_no_cursor_and_printed_commands_are_read_back_by_a_shell() {
        let dir = tempfile::tempdir().unwrap();
        let name = "a\u{1b}[2Jb\n\u{202e}c";
        let run = dir.path().join(name);
        let (stdout, stderr) = success(&mut train_tiny(&run, &["--steps", "1"]));
        let clean = |text: &str| !text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
        assert!(clean(&stdout) && clean(&stderr), "{stdout:?} {stderr:?}");
        for what in ["sample grid ", "checkpoint ", "log "] {
            let line = stdout.lines().find(|line| line.starts_with(what)).unwrap();
            assert!(line.contains(r"a\u{1b}[2Jb\n\u{202e}c/"), "{line}");
        }
        assert!(stderr.lines().any(|line| line.contains(r"run folder ") && line.ends_with(r"\u{202e}c")));
        let draw = stdout.lines().find_map(|line| line.strip_prefix("draw with: drgan ")).unwrap();
        if Path::new("/bin/bash").exists() {
            let script = format!("exec \"$0\" {draw} --count 1 --out \"$1\"");
            let mut shell = assert_cmd::Command::new("/bin/bash");
            shell.args(["-c", &script]).arg(assert_cmd::cargo::cargo_bin("drgan"));
            let (stdout, _) = success(shell.arg(dir.path().join("x.png")));
            assert!(stdout.starts_with("run ") && clean(&stdout), "{stdout:?}");
            let mut sample = drgan();
            sample.args(["sample", "a red\u{1b}[31m\nerror: none", "--count", "1", "--run"]).arg(&run);
            let (_, stderr) = success(sample.arg("--out").arg(dir.path().join("x.png")));
            assert!(clean(&stderr) && stderr.lines().all(|line| !line.starts_with("error")), "{stderr:?}");
        }
        let e = failure(&mut train_tiny(&run, &[]));
        assert!(clean(&e) && e.contains("not empty") && e.contains("--resume $'"), "{e:?}");
        let e = failure(drgan().args(["inspect", &format!("{name}.pth")]));
        assert!(clean(&e) && e.contains(r"a\u{1b}[2Jb\n"), "{e:?}");
    }

    /// The checkpoint of the encoders, and one of the GAN.
    const FIRST: &str = "checkpoints/step-000000.safetensors";
    const MIDDLE: &str = "checkpoints/step-000003.safetensors";

    /// Starts the command and kills it as soon as `file` lies in `run`.
    fn kill_at(run: &Path, file: &str, mut command: Command) {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let patience = Instant::now();
        while !run.join(file).exists() {
            assert!(patience.elapsed() < Duration::from_secs(120), "{file} is not written in two minutes");
            assert!(
                child.try_wait().unwrap().is_none() || run.join(file).exists(),
                "the run ended before {file}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_run_that_is_killed_again_and_again_ends_with_the_same_bits() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, run) = (dir.path().join("whole"), dir.path().join("run"));
        success(&mut train_tiny(&whole, &[]));
        // Before its settings are written a run is begun anew, in the folder that is there.
        let go_on = || {
            let mut command = Command::new(assert_cmd::cargo::cargo_bin("drgan"));
            command.args(["train", "--no-evaluate"]);
            match run.join("config.toml").exists() {
                true => command.arg("--resume").arg(&run),
                false => command.args(["--preset", "tiny", "--out"]).arg(&run),
            };
            command
        };
        for file in ["run.lock", "config.toml", "tokenizer.json", FIRST, MIDDLE] {
            kill_at(&run, file, go_on());
        }
        success(drgan().args(["train", "--no-evaluate", "--resume"]).arg(&run));
        let last = |run: &Path| std::fs::read(run.join("checkpoints/step-000006.safetensors")).unwrap();
        assert!(last(&whole) == last(&run), "a kill changed what the run learnt");
        let left =
            std::fs::read_dir(&run).unwrap().chain(std::fs::read_dir(run.join("checkpoints")).unwrap());
        let mut left = left.flatten().map(|entry| entry.path());
        assert!(left.all(|path| path.extension().is_none_or(|e| e != "partial")));
    }
}
