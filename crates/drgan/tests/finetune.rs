//! `drgan train --from-model`: a run that starts from a model file, on pictures with words of their own.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
mod common;
use common::{drgan, failure, success, train_tiny};
use std::path::{Path, PathBuf};

/// A model file of a short run, and a folder of pictures whose captions hold words that the model lacks.
fn model_and_pictures(dir: &Path) -> (PathBuf, PathBuf) {
    let (run, model, pictures) = (dir.join("run"), dir.join("m.safetensors"), dir.join("pictures"));
    success(&mut train_tiny(&run, &["--steps", "1", "--set", "generator.nz=9"]));
    success(drgan().arg("export").arg(&run).args(["--weights", "f32", "--out"]).arg(&model));
    let mut draw = drgan();
    draw.args(["sample", "a red heart", "a blue square", "--count", "6", "--model"]).arg(&model);
    success(draw.arg("--out-dir").arg(&pictures));
    let list = pictures.join("metadata.jsonl");
    let text = std::fs::read_to_string(&list).unwrap().replace("\"a red heart\"", "\"a wibbly red heart\"");
    std::fs::write(list, text).unwrap();
    (model, pictures)
}

/// `drgan train` from the model, on the pictures.
fn train(model: &Path, pictures: &Path, out: &Path, more: &[&str]) -> assert_cmd::Command {
    let mut command = train_tiny(out, &["--steps", "5", "--set", "loader.batch=4"]);
    command.arg("--from-model").arg(model).arg("--data").arg(pictures).args(more);
    command
}

#[test]
fn a_run_starts_from_a_model_with_its_sizes_and_learns_new_words() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (model, pictures) = model_and_pictures(dir.path());
    let draw = |from: &str, path: &Path, words: &str, out: &str| {
        let mut command = drgan();
        command.args(["sample", words, from]).arg(path).arg("--out").arg(at(out));
        success(&mut command).1
    };
    // What learns nothing draws what the model draws, by the model's sizes.
    let still = ["--set", "damsm.epochs=0", "--set", "generator_opt.lr=1e-11", "--set", "train.ema=0.9999"];
    success(&mut train(&model, &pictures, &at("still"), &still));
    let config = std::fs::read_to_string(at("still").join("config.toml")).unwrap();
    assert!(config.contains("nz = 9") && config.contains("m.safetensors"), "{config}");
    draw("--model", &model, "a red heart", "model.png");
    draw("--run", &at("still"), "a red heart", "still.png");
    let read = |name: &str| image::open(at(name)).unwrap().into_rgb8();
    // Running statistics of its batch norms follow the new pictures, a little.
    let differ = |a: &str, b: &str| {
        let (a, b) = (read(a), read(b));
        a.as_raw().iter().zip(b.as_raw()).filter(|(a, b)| a.abs_diff(**b) > 2).count() as f64
            / a.as_raw().len() as f64
    };
    assert!(differ("model.png", "still.png") < 0.15, "{}", differ("model.png", "still.png"));

    success(&mut train(&model, &pictures, &at("tuned"), &["--set", "generator_opt.lr=0.01"]));
    let unknown = draw("--model", &model, "a wibbly red heart", "unknown.png");
    assert!(unknown.contains("wibbly"), "{unknown}");
    let known = draw("--run", &at("tuned"), "a wibbly red heart", "known.png");
    assert!(!known.contains("wibbly"), "{known}");
    assert!(differ("unknown.png", "known.png") > 0.05, "it has learnt nothing");
    // It goes on without the model.
    std::fs::remove_file(&model).unwrap();
    let mut resume = drgan();
    resume.args(["train", "--no-evaluate", "--steps", "6", "--resume"]).arg(at("tuned"));
    success(&mut resume);
}

#[test]
fn what_contradicts_the_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (model, pictures) = model_and_pictures(dir.path());
    let out = dir.path().join("out");
    let e = failure(&mut train(&model, &pictures, &out, &["--set", "generator.nz=10"]));
    assert!(e.contains("`generator.nz` is 9 in the model, and was set to 10"), "{e}");
    let e = failure(&mut train(&model, &pictures, &out, &["--encoders", "runs/a"]));
    assert!(e.contains("--from-model") && e.contains("--encoders"), "{e}");
    let e = failure(&mut train(&model, &pictures, &out, &["--set", "encoders.run=runs/a"]));
    assert!(e.contains("`start.model`") && e.contains("`encoders`"), "{e}");
    let e = failure(&mut train(&pictures.join("metadata.jsonl"), &pictures, &out, &[]));
    assert!(e.contains("metadata.jsonl"), "{e}");
    assert!(!out.exists());
}
