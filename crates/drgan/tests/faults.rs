//! Bad input and faults: a clear error, nothing lost.
mod common;
use common::{drgan, failure, success, train_tiny};

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let e = failure(drgan().args(["train", "--preset", "emoji"]));
    assert!(e.contains("emoji-64"), "{e}");
    let e = failure(drgan().args(["train", "--preset", "qwertz"]));
    for (name, _) in drgan_train::config::PRESETS {
        assert!(e.contains(name), "{name}: {e}");
    }
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
        ("train.steps=1\ntrain.keep=2", "`train.steps` takes an integer"),
        ("seed=18446744073709551616", "at most 18446744073709551615"),
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
    // One whose mark at its end is cut, which is told once.
    let whole = std::fs::read(folder.join("20.png")).unwrap();
    std::fs::write(folder.join("20.png"), &whole[..whole.len() - 4]).unwrap();
    let data = folder.to_str().unwrap();
    let more = ["--data", data, "--set", "data.limit=0", "--steps", "2"];
    let (_, stderr) = success(&mut train_tiny(&dir.path().join("run"), &more));
    assert!(stderr.contains("7.png") && stderr.contains("left out"), "{stderr}");
    assert_eq!(stderr.matches("20.png").count(), 1, "{stderr}");
    for i in 10..13 {
        std::fs::write(folder.join(format!("{i}.png")), b"not an image").unwrap();
    }
    let e = failure(&mut train_tiny(&dir.path().join("run2"), &more));
    assert!(e.contains("11.png") && e.contains('%'), "{e}");
}

#[test]
fn numbers_of_the_command_line_are_refused_by_their_range() {
    let train = ["train", "--preset", "tiny", "--dry-run"];
    let cases: [(&[&str], &str, &str); 9] = [
        (&train, "--threads=65535", "at least 1 and at most 1024"),
        (&train, "--threads=0", "at least 1 and at most 1024"),
        (&train, "--seed=18446744073709551616", "at most 18446744073709551615"),
        (&train, "--seed=-1", "at least 0"),
        (&train, "--steps=99999999999999999999", "at least 1 and at most 1000000000"),
        (&["pretrain"], "--epochs=1e9", "at least 0 and at most 1000000"),
        (&["sample", "x"], "--count=65", "at least 1 and at most 64"),
        (&["sample", "x"], "--seed=many", "at most 18446744073709551615"),
        (
            &["sample", "x", "--generator", "g", "--text-encoder", "t", "--vocabulary", "v"],
            "--mask-logit-scale=nan",
            "above 0 and at most 1000",
        ),
    ];
    for (command, argument, range) in cases {
        let e = failure(drgan().args(command).arg(argument).env("DRGAN_INVOKED_AS", "cargo xtask"));
        assert!(e.contains(argument.split('=').next().unwrap()) && e.contains(range), "{argument}: {e}");
    }
    let e = failure(drgan().args(train).env("RAYON_NUM_THREADS", "65535"));
    assert!(e.contains("RAYON_NUM_THREADS is `65535`") && e.contains("at most 1024"), "{e}");
}

#[test]
fn the_largest_seed_trains_draws_and_resumes() {
    const SEED: &str = "18446744073709551615";
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_tiny(&run, &["--steps", "1", "--seed", SEED]));
    success(drgan().args(["train", "--no-evaluate", "--steps", "2", "--resume"]).arg(&run));
    let mut sample = drgan();
    sample.args(["sample", "a red heart", "--count", "1", "--seed", SEED, "--run"]).arg(&run);
    let (stdout, _) = success(sample.arg("--out").arg(dir.path().join("x.png")));
    assert!(stdout.contains(SEED), "{stdout}");
}

#[test]
fn commands_are_named_as_the_program_was_called_and_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("my $HOME `id`");
    let mut train = train_tiny(&run, &["--steps", "1"]);
    let (stdout, _) = success(train.env("DRGAN_INVOKED_AS", "cargo xtask"));
    let line = stdout.lines().find_map(|line| line.strip_prefix("draw with: ")).unwrap();
    let quoted = format!("--run '{}'", run.display());
    assert!(line.starts_with("cargo xtask sample ") && line.contains(&quoted), "{line}");
    let e = failure(train_tiny(&run, &[]).env("DRGAN_INVOKED_AS", "cargo xtask"));
    assert!(e.contains("cargo xtask train --resume '"), "{e}");
    let e = failure(drgan().args(["train", "--no-such-flag"]).env("DRGAN_INVOKED_AS", "cargo xtask"));
    assert!(e.contains("Usage: cargo xtask train"), "{e}");
}

#[test]
fn a_name_that_is_no_png_is_refused_before_anything_is_read() {
    for name in ["x.jpg", "x"] {
        let e = failure(drgan().args(["sample", "a red heart", "--run", "no/such/run", "--out", name]));
        assert!(e.contains("end the name in .png"), "{name}: {e}");
    }
}

#[test]
fn the_cause_of_an_error_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..4u8 {
        image::RgbImage::from_pixel(8, 8, image::Rgb([i, 0, 0]))
            .save(dir.path().join(format!("{i}.png")))
            .unwrap();
    }
    let lists = [
        (
            "metadata.jsonl",
            "{\"file_name\": \"0.png\", \"text\": \"a\"}\n{\"file_name\": \"1.png\" \"text\"}\n",
        ),
        ("metadata.csv", "file_name,text\n0.png,a\n1.png,b,c\n"),
    ];
    for (name, list) in lists {
        std::fs::write(dir.path().join(name), list).unwrap();
        let mut train = drgan();
        train.args(["train", "--preset", "tiny", "--dry-run", "--data"]).arg(dir.path());
        let e = failure(&mut train);
        std::fs::remove_file(dir.path().join(name)).unwrap();
        let place = if name.ends_with("csv") { "`line 3`" } else { "`line 2`" };
        assert!(
            e.contains(name) && e.matches("line").count() == if name.ends_with("csv") { 1 } else { 2 },
            "{e}"
        );
        assert!(e.contains(place) && !e.contains("at line") && !e.contains("CSV error"), "{e}");
    }
}
