//! `drgan import` and `drgan inspect` on whole, partial and third-party files, and on our own.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
mod common;
use assert_cmd::Command;
use candle_core::{DType, Device, Tensor};
use drgan_tensor::testing::{Tol, assert_close};
use drgan_tensor::weights::{Metadata, open, safetensors};
use drgan_tensor::{FromConfig, ParamStore};
use drgan_text::{BiLstmEncoder, TextEncoderConfig};
use std::path::Path;

fn drgan(args: &[&str]) -> (bool, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_drgan")).args(args).output().unwrap();
    (
        out.status.success(),
        [out.stdout, out.stderr].map(|s| String::from_utf8_lossy(&s).into_owned()).concat(),
    )
}

/// A text encoder as `DataParallel` names it, with a tensor too many.
fn encoder(dir: &Path) -> std::path::PathBuf {
    let cfg = TextEncoderConfig { vocab_size: 7, embedding: 4, words_dim: 6, ..Default::default() };
    let store = ParamStore::seeded(1);
    BiLstmEncoder::from_config(&cfg, store.builder(DType::F32, &Device::Cpu)).unwrap();
    let mut tensors: drgan_tensor::weights::Tensors =
        store.views().into_iter().map(|(n, t)| (format!("module.{n}"), t)).collect();
    tensors.insert("module.extra.bias".into(), Tensor::new(&[1f32, 2.], &Device::Cpu).unwrap());
    let path = dir.join("encoder.safetensors");
    safetensors::save(&path, &tensors, &Metadata::new()).unwrap();
    path
}

#[test]
fn an_import_keeps_every_tensor_and_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (encoder(dir.path()), dir.path().join("out.safetensors"));
    let (done, said) = drgan(&["import", from.to_str().unwrap(), "--out", to.to_str().unwrap()]);
    assert!(done && said.contains("text-encoder") && said.contains("extra.*"), "{said}");
    let (was, is) = (open(&from, &Device::Cpu).unwrap(), open(&to, &Device::Cpu).unwrap());
    assert!(was.tensors.keys().eq(is.tensors.keys()) && is.tensors.contains_key("extra.bias"));
    for (name, t) in &was.tensors {
        assert_close(name, &is.tensors[name], t, Tol::EXACT).unwrap();
    }
    assert_eq!(
        (is.metadata["kind"].as_str(), is.metadata["source"].as_str()),
        ("text-encoder", "encoder.safetensors")
    );
    assert!(is.metadata["config"].contains("\"vocab_size\":7"));
    let (done, said) = drgan(&["inspect", to.to_str().unwrap()]);
    assert!(
        done && said.contains("encoder.weight") && said.contains("[7, 4]") && said.contains("10 tensors"),
        "{said}"
    );
}

#[test]
fn nothing_is_written_of_a_file_that_lacks_something() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (encoder(dir.path()), dir.path().join("out.safetensors"));
    let mut tensors = open(&from, &Device::Cpu).unwrap().tensors;
    tensors.remove("rnn.bias_ih_l0");
    safetensors::save(&from, &tensors, &Metadata::new()).unwrap();
    let (done, said) = drgan(&["import", from.to_str().unwrap(), "--out", to.to_str().unwrap()]);
    assert!(!done && said.contains("missing        rnn.bias_ih_l0 [12]") && !to.exists(), "{said}");
    let (done, said) =
        drgan(&["import", from.to_str().unwrap(), "--as", "generator", "--out", to.to_str().unwrap()]);
    assert!(!done && said.contains("ca_net.fc.weight") && said.contains("encoder.safetensors"), "{said}");
    let text = dir.path().join("page.pth");
    std::fs::write(&text, "<html>").unwrap();
    let (done, said) = drgan(&["import", text.to_str().unwrap(), "--out", to.to_str().unwrap()]);
    assert!(!done && said.contains("web page") && said.contains("page.pth"), "{said}");
}

/// Saves a seeded network's state under the names its module asks for.
fn save<M>(path: &Path, build: impl FnOnce(drgan_tensor::VarBuilder<'static>) -> drgan_tensor::Result<M>) {
    let store = ParamStore::seeded(3);
    build(store.builder(DType::F32, &Device::Cpu)).unwrap();
    let mut tensors = store.views();
    // What the authors' files hold beside it.
    tensors.insert(
        "h_net2.global_reduction.0.weight".into(),
        Tensor::zeros((8, 8, 1, 1), DType::F32, &Device::Cpu).unwrap(),
    );
    safetensors::save(path, &tensors, &Metadata::new()).unwrap();
}

#[test]
fn a_generator_of_the_authors_form_draws_from_its_files() {
    use drgan_sdm::{GeneratorConfig, StageGenerator};
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let cfg = GeneratorConfig {
        form: drgan_tensor::Variant::Released,
        base: 16,
        stages: 2,
        ngf: 8,
        text_dim: 6,
        ..Default::default()
    };
    save(Path::new(&at("netG.safetensors")), |vb| StageGenerator::from_config(&cfg, vb));
    let text = TextEncoderConfig { vocab_size: 3, embedding: 4, words_dim: 6, ..Default::default() };
    save(Path::new(&at("text.safetensors")), |vb| BiLstmEncoder::from_config(&text, vb));
    std::fs::write(at("captions.pickle"), b"\x80\x02](]]}(K\x00U\x05<end>K\x01U\x04birdK\x02U\x03redu}e.")
        .unwrap();
    let draw = |out: &str, more: &[&str]| {
        let (generator, text, vocabulary, out) =
            (at("netG.safetensors"), at("text.safetensors"), at("captions.pickle"), at(out));
        let mut line =
            vec!["sample", "a red bird", "--count", "2", "--generator", &generator, "--text-encoder", &text];
        line.extend(["--vocabulary", &vocabulary, "--out", &out]);
        line.extend(more);
        let (done, said) = drgan(&line);
        (done, said, std::fs::read(&out).unwrap_or_default())
    };
    let (done, said, first) = draw("a.png", &[]);
    assert!(
        done && said.contains("not in the vocabulary, ignored: a")
            && said.contains("netG.safetensors, seed 0"),
        "{said}"
    );
    assert_eq!(first, draw("b.png", &["--mask-logit-scale", "0.25"]).2, "the authors' scale for birds");
    let (done, said, other) = draw("c.png", &["--mask-logit-scale", "8"]);
    assert!(done && first != other, "{said}");

    std::fs::write(at("captions.pickle"), b"\x80\x02](]]}(K\x00U\x05<end>K\x01U\x04birdu}e.").unwrap();
    let (done, said, _) = draw("d.png", &[]);
    assert!(!done && said.contains("embeds 3 words") && said.contains("has 2"), "{said}");
    let wrong = at("text.safetensors");
    let (done, said) = drgan(&[
        "sample",
        "bird",
        "--generator",
        &wrong,
        "--text-encoder",
        &wrong,
        "--vocabulary",
        &at("captions.pickle"),
    ]);
    assert!(!done && said.contains("not a generator") && said.contains("text.safetensors"), "{said}");
}

#[test]
fn networks_of_a_run_and_its_model_file_are_imported() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    common::success(&mut common::train_tiny(&at("run"), &["--steps", "1"]));
    let checkpoint = at("run/checkpoints/step-000001.safetensors");
    let model = at("model.safetensors");
    common::success(
        common::drgan().arg("export").arg(at("run")).args(["--weights", "f32", "--out"]).arg(&model),
    );
    let import = |from: &Path, more: &[&str], to: &str| {
        let to = at(to);
        drgan(&[&["import", from.to_str().unwrap(), "--out", to.to_str().unwrap()], more].concat())
    };
    let saved = open(&checkpoint, &Device::Cpu).unwrap().tensors;
    for (network, stage, section) in [
        ("generator", None, "g_avg."),
        ("text-encoder", None, "text."),
        ("image-encoder", None, "image."),
        ("discriminator", Some("0"), "d0."),
        ("discriminator", None, "d2."),
    ] {
        let mut more = vec!["--as", network];
        more.extend(stage.into_iter().flat_map(|n| ["--stage", n]));
        let (done, said) = import(&checkpoint, &more, "part.safetensors");
        assert!(done && said.contains(network), "{said}");
        let part = open(&at("part.safetensors"), &Device::Cpu).unwrap();
        assert_eq!(part.metadata["kind"], network);
        assert_eq!(part.tensors.len(), saved.keys().filter(|name| name.starts_with(section)).count());
        for (name, t) in &part.tensors {
            assert_close(name, t, &saved[&format!("{section}{name}")], Tol::EXACT).unwrap();
        }
    }
    for (more, why) in [
        (&[][..], "say which network to take with --as"),
        (&["--as", "discriminator", "--stage", "3"], "no discriminator of stage 3"),
        (&["--as", "generator", "--stage", "1"], "--stage: for a discriminator"),
    ] {
        let mut refused = common::drgan();
        refused.arg("import").arg(&checkpoint).args(more).arg("--out").arg(at("none.safetensors"));
        let e = common::failure(&mut refused);
        assert!(e.contains(why) && !at("none.safetensors").exists(), "{e}");
    }

    // The model file is read back as a whole, or a part of it is taken.
    let (done, said) = import(&model, &[], "back.safetensors");
    assert!(done && said.contains("model tiny: text encoder"), "{said}");
    assert_eq!(std::fs::read(at("back.safetensors")).unwrap(), std::fs::read(&model).unwrap());
    let (done, said) = import(&model, &["--as", "generator"], "netG.safetensors");
    assert!(done && said.contains("generator"), "{said}");
    let (done, said) = import(&model, &["--as", "discriminator"], "none.safetensors");
    assert!(!done && said.contains("it has generator and text-encoder"), "{said}");
}
