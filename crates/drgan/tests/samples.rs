//! What a trained run becomes: a model file, folders of images, animations.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
mod common;
use common::{drgan, failure, success, train_tiny};
use std::path::Path;
use std::sync::OnceLock;

/// A run of `tiny` and its model files, made once.
fn trained() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        success(&mut train_tiny(&dir.path().join("run"), &["--steps", "1"]));
        for weights in ["f16", "f32"] {
            let mut export = drgan();
            export.arg("export").arg(dir.path().join("run")).args(["--weights", weights, "--out"]);
            success(export.arg(dir.path().join(format!("{weights}.safetensors"))));
        }
        dir
    })
    .path()
}

fn sample(words: &[&str], more: &[(&str, &Path)]) -> assert_cmd::Command {
    let mut command = drgan();
    command.arg("sample").args(words);
    for (option, value) in more {
        command.arg(option).arg(value);
    }
    command
}

fn picture(path: &Path) -> image::RgbImage {
    image::open(path).unwrap().into_rgb8()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_model_file_draws_as_its_run_and_says_what_it_is() {
    let (from, dir) = (trained(), tempfile::tempdir().unwrap());
    let at = |name: &str| dir.path().join(name);
    success(&mut sample(&["a red heart"], &[("--run", &from.join("run")), ("--out", &at("run.png"))]));
    for weights in ["f32", "f16"] {
        let file = from.join(format!("{weights}.safetensors"));
        success(&mut sample(&["a red heart"], &[("--model", &file), ("--out", &at("model.png"))]));
        let (run, model) = (picture(&at("run.png")), picture(&at("model.png")));
        let most = run.as_raw().iter().zip(model.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(most <= if weights == "f32" { 0 } else { 3 }, "{weights}: {most} levels");
    }
    let size = |name: &str| std::fs::metadata(from.join(name)).unwrap().len();
    assert!(size("f16.safetensors") * 3 < size("f32.safetensors") * 2);
    let bytes = std::fs::read(from.join("f16.safetensors")).unwrap();
    let header = String::from_utf8_lossy(&bytes[..20_000]);
    for words in ["drgan.card", "# tiny", "Nothing was measured", "recipe 3, seed 0, 1 steps of 4 images"] {
        assert!(header.contains(words), "{words}");
    }
}

#[test]
fn what_cannot_be_exported_or_drawn_with_is_said() {
    let (from, dir) = (trained(), tempfile::tempdir().unwrap());
    let at = |name: &str| dir.path().join(name);
    let export = |run: &Path, out: &Path| {
        let mut command = drgan();
        command.arg("export").arg(run).arg("--out").arg(out);
        failure(&mut command)
    };
    assert!(export(&from.join("run"), &at("x.onnx")).contains("x.onnx: end the name in .safetensors"));
    assert!(export(&at("none"), &at("x.safetensors")).contains("none"));
    let mut pretrain = drgan();
    pretrain.args(["pretrain", "--preset", "tiny", "--out"]).arg(at("encoders"));
    success(&mut pretrain);
    let e = export(&at("encoders"), &at("x.safetensors"));
    assert!(e.contains("encoders"), "{e}");
    assert!(!at("x.safetensors").exists());

    let whole = std::fs::read(from.join("f16.safetensors")).unwrap();
    std::fs::write(at("cut.safetensors"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(at("text.safetensors"), "hello").unwrap();
    for name in ["cut.safetensors", "text.safetensors", "none.safetensors"] {
        let e = failure(&mut sample(&["a red heart"], &[("--model", &at(name)), ("--out", &at("x.png"))]));
        assert!(e.contains(name), "{e}");
    }
    let e = failure(&mut sample(
        &["a red heart"],
        &[("--model", &at("a.safetensors")), ("--run", &from.join("run")), ("--out", &at("x.png"))],
    ));
    assert!(e.contains("--model") && e.contains("--run"), "{e}");
}

#[test]
fn a_folder_has_an_image_per_sample_and_is_continued() {
    let (from, dir) = (trained(), tempfile::tempdir().unwrap());
    let (out, list) = (dir.path().join("out"), dir.path().join("captions.txt"));
    std::fs::write(&list, "a blue square\n\nqwertz asdf\na green apple\n").unwrap();
    let run = from.join("f32.safetensors");
    let draw =
        |words: &[&str]| sample(words, &[("--model", &run), ("--captions", &list), ("--out-dir", &out)]);
    let (stdout, stderr) = success(&mut draw(&["a red heart", "--count", "2"]));
    assert!(stdout.contains("6 images"), "{stdout}");
    assert!(stderr.contains("left out: 1 caption without a known word"), "{stderr}");
    assert!(stderr.contains("\"qwertz asdf\": left out"), "{stderr}");
    let files = [
        "00001-a-red-heart-0.png",
        "00001-a-red-heart-1.png",
        "00002-a-blue-square-0.png",
        "00002-a-blue-square-1.png",
        "00004-a-green-apple-0.png",
        "00004-a-green-apple-1.png",
        "metadata.jsonl",
    ];
    assert_eq!(names(&out), files);
    assert_eq!(picture(&out.join(files[0])).dimensions(), (64, 64));
    // One that is gone is drawn again, to the same bytes; the others are not touched.
    let before = std::fs::read(out.join(files[3])).unwrap();
    let list_before = std::fs::read(out.join("metadata.jsonl")).unwrap();
    std::fs::remove_file(out.join(files[3])).unwrap();
    let (stdout, _) = success(&mut draw(&["a red heart", "--count", "2"]));
    assert!(stdout.contains("1 image, 5 there already"), "{stdout}");
    assert_eq!(std::fs::read(out.join(files[3])).unwrap(), before);
    assert_eq!(std::fs::read(out.join("metadata.jsonl")).unwrap(), list_before);
    let e = failure(&mut draw(&["a red heart", "--seed", "1"]));
    assert!(e.contains(files[0]) && e.contains("seed 0") && e.contains("another folder"), "{e}");
    // The folder is a data set.
    let (stdout, _) = success(drgan().args(["data", "verify"]).arg(&out));
    assert!(stdout.contains('6'), "{stdout}");

    // Captions from a pipe are the same captions.
    let piped = dir.path().join("piped");
    let mut draw =
        sample(&["a red heart"], &[("--model", &run), ("--captions", Path::new("-")), ("--out-dir", &piped)]);
    success(draw.args(["--count", "2"]).write_stdin("a blue square\n\nqwertz asdf\na green apple\n"));
    assert_eq!(names(&piped), files);
    assert_eq!(std::fs::read(piped.join("metadata.jsonl")).unwrap(), list_before);

    let webp = dir.path().join("webp");
    success(&mut sample(
        &["a red heart", "--count", "1", "--format", "webp"],
        &[("--model", &run), ("--out-dir", &webp)],
    ));
    assert_eq!(names(&webp), ["00001-a-red-heart-0.webp", "metadata.jsonl"]);
}

#[test]
fn captions_that_nobody_knows_are_left_out_and_alone_an_error() {
    let (from, dir) = (trained(), tempfile::tempdir().unwrap());
    let (run, out) = (from.join("run"), dir.path().join("x.png"));
    let (_, stderr) = success(&mut sample(&["qwertz", "a red heart"], &[("--run", &run), ("--out", &out)]));
    assert!(stderr.contains("left out: 1 caption"), "{stderr}");
    let e = failure(&mut sample(&["qwertz", "asdfg"], &[("--run", &run), ("--out", &out)]));
    assert!(e.contains("none of the 2 captions"), "{e}");
    let list = dir.path().join("empty.txt");
    std::fs::write(&list, "\n \n").unwrap();
    let e = failure(&mut sample(&[], &[("--run", &run), ("--out", &out), ("--captions", &list)]));
    assert!(e.contains("empty.txt: holds no caption"), "{e}");
    let mut piped = sample(&[], &[("--run", &run), ("--out", &out), ("--captions", Path::new("-"))]);
    let e = failure(piped.write_stdin("\n"));
    assert!(e.contains("standard input: holds no caption"), "{e}");
    std::fs::write(&list, b"a red heart\n\xff\n").unwrap();
    let e = failure(&mut sample(&[], &[("--run", &run), ("--out", &out), ("--captions", &list)]));
    assert!(e.contains("empty.txt") && e.contains("line 2"), "{e}");
}

#[test]
fn a_walk_is_an_animation_with_a_strip_beside_it() {
    let (from, dir) = (trained(), tempfile::tempdir().unwrap());
    let run = from.join("run");
    let walk = |words: &[&str], name: &str| {
        let mut command = sample(words, &[("--run", &run), ("--out", &dir.path().join(name))]);
        command.arg("--interpolate");
        command
    };
    let two = ["a red heart", "a blue square", "--count", "1", "--frames", "4"];
    let (stdout, _) = success(&mut walk(&two, "walk.gif"));
    assert!(
        stdout.contains("walk.gif") && stdout.contains("walk-strip.png") && stdout.contains("8 frames"),
        "{stdout}"
    );
    success(&mut walk(&["a red heart", "--count", "2", "--frames", "2"], "noise.png"));
    assert_eq!(names(dir.path()), ["noise-strip.png", "noise.png", "walk-strip.png", "walk.gif"]);
    let gif = std::fs::read(dir.path().join("walk.gif")).unwrap();
    assert!(gif.starts_with(b"GIF89a"));
    assert_eq!(picture(&dir.path().join("noise.png")).dimensions(), (128, 128));
    let e = failure(&mut walk(&["a red heart", "--count", "1"], "x.gif"));
    assert!(e.contains("one picture leads nowhere"), "{e}");
    let e = failure(&mut walk(&two, "x.mp4"));
    assert!(e.contains("x.mp4") && e.contains(".gif"), "{e}");
}

#[test]
fn truncated_noise_varies_less() {
    let (from, dir) = (trained(), tempfile::tempdir().unwrap());
    let run = from.join("run");
    let spread = |more: &[&str], name: &str| {
        let out = dir.path().join(name);
        let words = [&["a red heart", "--count", "8"], more].concat();
        success(&mut sample(&words, &[("--run", &run), ("--out-dir", &out)]));
        let images: Vec<_> =
            (0..8).map(|i| picture(&out.join(format!("00001-a-red-heart-{i}.png")))).collect();
        let difference = |a: &image::RgbImage, b: &image::RgbImage| -> u64 {
            a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
        };
        images.iter().flat_map(|a| images.iter().map(move |b| difference(a, b))).sum::<u64>()
    };
    let (all, truncated) = (spread(&[], "all"), spread(&["--truncation", "0.1"], "truncated"));
    assert!(truncated * 2 < all, "{truncated} of {all}");
}
