//! Settings from the command line to the model: widths, devices, model files.
mod common;
use common::{drgan, failure, success, train_tiny};
use drgan_infer::{Device, Model, Precision, Sampler, sheet};
use drgan_tensor::device::DeviceRequest;
use drgan_train::RunDir;
use drgan_train::session::TrainedRun;

#[test]
fn a_run_of_another_width_trains_draws_and_becomes_a_model_file() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let set = ["--steps", "1", "--set", "text.words_dim=128", "--device", "cpu"];
    let (stdout, _) = success(train_tiny(&run, &set).env("DRGAN_INVOKED_AS", "cargo xtask"));
    let line = format!("draw with: cargo xtask sample --run {} 'a red heart'", run.display());
    assert!(stdout.contains(&line), "{stdout}");
    let written = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(written.contains("words_dim = 128") && written.contains("device = \"cpu\""), "{written}");
    assert!(!written.contains("text_dim") && !written.contains("vocab_size"), "{written}");

    let sampled = dir.path().join("sample.png");
    let mut sample = drgan();
    sample.args(["sample", "a red heart", "--count", "2", "--seed", "5", "--run"]).arg(&run);
    success(sample.arg("--out").arg(&sampled));
    let trained = TrainedRun::open(&RunDir::open(&run).unwrap(), &Device::Cpu).unwrap();
    let file = dir.path().join("model.safetensors");
    trained.model.save(&file).unwrap();
    let model = Model::from_bytes(&std::fs::read(&file).unwrap(), &Device::Cpu).unwrap();
    assert_eq!(model.config().generator.text_dim, 128);
    let sampler = Sampler::new(&model, Precision::F32).unwrap();
    let drawn = sheet::draw(&sampler, &["a red heart"], &[0, 1], 5, sheet::Options::default()).unwrap();
    assert!(image::open(&sampled).unwrap().into_rgb8() == drawn, "the model file draws what its run draws");

    let (stdout, _) = success(drgan().args(["train", "--no-evaluate", "--steps", "2", "--resume"]).arg(&run));
    assert!(stdout.contains("draw with: drgan sample"), "{stdout}");
}

#[test]
fn a_run_in_double_precision_trains_resumes_and_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let small =
        ["dtype=f64", "generator.stages=1", "generator.ngf=4", "loader.batch=2", "evaluate.samples=4"];
    let set: Vec<&str> = small.iter().flat_map(|s| ["--set", s]).chain(["--steps", "1"]).collect();
    success(&mut train_tiny(&run, &set));
    success(drgan().args(["train", "--no-evaluate", "--steps", "2", "--resume"]).arg(&run));
    let last = drgan_train::Checkpoint::load(&run.join("checkpoints/step-000002.safetensors")).unwrap();
    let weight = &last.tensors["g.ca_net.fc.weight"];
    assert_eq!(weight.dtype(), candle_core::DType::F64);
    let (table, _) = success(drgan().args(["evaluate", "--run"]).arg(&run));
    assert!(table.contains("KID"), "{table}");
    let trained = TrainedRun::open(&RunDir::open(&run).unwrap(), &Device::Cpu).unwrap();
    let model = Model::from_bytes(&trained.model.to_bytes().unwrap(), &Device::Cpu).unwrap();
    let values = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let averaged = values(&last.tensors["g_avg.ca_net.fc.weight"]);
    for weights in [trained.model.generator(), model.generator()] {
        assert_eq!(values(&weights.views()["ca_net.fc.weight"]), averaged, "no weight is rounded");
    }
}

#[test]
fn settings_that_could_not_do_anything_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let e = failure(&mut train_tiny(&run, &["--set", "text.words_dim=127"]));
    assert!(e.contains("text.words_dim") && e.contains("even"), "{e}");
    let e = failure(&mut train_tiny(&run, &["--set", "preset=tiny"]));
    assert!(e.contains("not a setting") && e.contains("--preset"), "{e}");
    assert!(!run.exists(), "a mistake costs no run folder");
    let dry = |set: &[&str]| success(&mut train_tiny(&run, &[&["--dry-run"], set].concat())).1;
    let told = dry(&["--set", "loader.repeat.tag=xyz"]);
    assert_eq!(told.matches("no record has the tag `xyz`").count(), 1, "{told}");
    assert!(!dry(&[]).contains("no record has the tag"));
}

#[test]
fn devices_that_are_not_there_are_refused_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let e = failure(&mut train_tiny(&run, &["--device", "abacus"]));
    assert!(e.contains("abacus") && e.contains("cuda:N"), "{e}");
    let e = failure(drgan().args(["evaluate", "--device", "tpu:0", "--run"]).arg(&run));
    assert!(e.contains("tpu:0"), "{e}");
    if DeviceRequest::Cuda(0).open().is_err() {
        let e = failure(&mut train_tiny(&run, &["--device", "cuda"]));
        assert!(e.contains("`cuda:0`") && e.contains("no CUDA support") && e.contains("--device cpu"), "{e}");
    }
    assert!(!run.exists(), "a mistake costs no run folder");
}
