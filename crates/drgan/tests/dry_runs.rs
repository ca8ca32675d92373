//! What is refused or told before anything runs, in a dry run as in a run.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
mod common;
use common::{drgan, failure, success, train_tiny};
use std::path::Path;

/// Sixteen pictures with captions in a folder.
fn pictures(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for i in 0..16u8 {
        let color = image::Rgb([i * 15, 255 - i, i.wrapping_mul(37)]);
        image::RgbImage::from_pixel(16, 16, color).save(folder.join(format!("p{i:02}.png"))).unwrap();
        std::fs::write(folder.join(format!("p{i:02}.txt")), format!("a square number {i}")).unwrap();
    }
}

/// The error of a command, which a dry run of it has too.
fn refused(command: &str, arguments: &[&str]) -> String {
    let run = |more: &[&str]| failure(drgan().arg(command).args(arguments).args(more));
    let told = run(&[]);
    let errors = |text: &str| {
        text.lines().filter(|line| !line.starts_with("data: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(errors(&run(&["--dry-run"])), errors(&told), "{arguments:?}");
    told
}

#[test]
fn a_dry_run_refuses_what_the_run_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, run) = (at("pets"), at("run"));
    pictures(Path::new(&data));
    success(&mut train_tiny(Path::new(&run), &["--data", &data, "--steps", "2", "--set", "loader.batch=2"]));
    let before = std::fs::read(Path::new(&run).join("config.toml")).unwrap();

    let e = refused("train", &["--preset", "tiny", "--out", &run]);
    assert!(e.contains("the folder is not empty"), "{e}");
    std::fs::write(at("file"), "x").unwrap();
    refused("train", &["--preset", "tiny", "--out", &at("file")]);
    let e = refused("pretrain", &["--resume", &run]);
    assert!(e.contains("its encoders are trained"), "{e}");
    let e = refused("train", &["--resume", &run, "--steps", "1"]);
    assert!(e.contains("`train.steps`: 1, and the run has done 2"), "{e}");
    let e = refused("pretrain", &["--preset", "tiny", "--epochs", "0"]);
    assert!(e.contains("`damsm.epochs`: 0, and so nothing to train"), "{e}");

    // Moved data are asked for, and changed ones refused whether they were given or not.
    std::fs::rename(&data, at("moved")).unwrap();
    for arguments in [&["train", "--resume", &run][..], &["evaluate", "--run", &run]] {
        let e = failure(drgan().args(arguments));
        assert!(e.contains("not found") && e.contains("--data DIR_OR_TAR"), "{e}");
    }
    std::fs::write(Path::new(&at("moved")).join("p03.txt"), "another thing").unwrap();
    let e = refused("train", &["--resume", &run, "--data", &at("moved")]);
    assert!(e.contains("changed since the run") && !e.contains("DIR_OR_TAR"), "{e}");
    assert_eq!(std::fs::read(Path::new(&run).join("config.toml")).unwrap(), before);
    assert!(!Path::new("runs").exists(), "a dry run leaves nothing");
}

#[test]
fn a_run_that_is_done_says_so_and_estimates_count_what_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_tiny(&run, &["--steps", "2"]));
    let resume =
        |more: &[&str]| success(drgan().args(["train", "--no-evaluate", "--resume"]).arg(&run).args(more));
    let (_, told) = resume(&[]);
    assert!(told.contains("all 2 steps are done"), "{told}");
    let (left, _) = resume(&["--dry-run"]);
    assert!(left.contains("about 0 s (encoders 0 s, GAN 0 s)"), "{left}");
    let (encoders, _) = success(drgan().args(["pretrain", "--preset", "tiny", "--dry-run"]));
    assert!(encoders.contains("expected on this machine: about") && !encoders.contains("GAN "), "{encoders}");
}

#[test]
fn a_flag_is_over_a_setting_of_the_same_key_and_says_so() {
    let dry = |more: &[&str]| success(drgan().args(["train", "--preset", "tiny", "--dry-run"]).args(more));
    let (settings, told) = dry(&["--steps", "5", "--set", "train.steps=7", "--set", "seed=3"]);
    assert!(settings.contains("steps = 5") && settings.contains("seed = 3"), "{settings}");
    assert!(told.contains("--set train.steps=7 is not used: a flag of its own says train.steps=5"), "{told}");
    assert_eq!(told.matches("is not used").count(), 1, "{told}");
}
