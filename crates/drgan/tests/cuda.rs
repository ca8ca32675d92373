//! The program on a CUDA device: the emulated one in the folder that DRGAN_CUDA_EMULATOR names, or a GPU.
#![cfg(feature = "cuda")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers panic as tests do; a skipped check says so"
)]
mod common;
use assert_cmd::Command;
use common::{drgan, failure, success, train_tiny};
use std::path::{Path, PathBuf};

const LIBRARIES: [&str; 3] = ["libcuda.so.1", "libcublas.so.13", "libcurand.so.10"];

/// The folder of the emulated device, if tests are to use one.
fn emulator() -> Option<PathBuf> {
    std::env::var_os("DRGAN_CUDA_EMULATOR").map(PathBuf::from)
}

/// A command that finds the emulated device, or NVIDIA's libraries where they are.
fn on_device(mut command: Command) -> Command {
    if let Some(folder) = emulator() {
        command.env("LD_LIBRARY_PATH", folder);
    }
    command
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn last(run: &Path) -> Vec<u8> {
    bytes(&run.join("checkpoints/step-000002.safetensors"))
}

/// `tiny` with fewer images for its encoders: what comes before the GAN's first step takes half as long.
fn train_few(run: &Path, more: &[&str]) -> Command {
    let few = ["--set", "data.limit=16", "--set", "loader.flip=false", "--set", "damsm.batch=6"];
    on_device(train_tiny(run, &[&few, more].concat()))
}

/// A run of two steps, each with its checkpoint: what a step needs of the one before is all in there, and steps are slow on the
/// emulated device.
fn train_two_steps(run: &Path, device: &str, more: &[&str]) -> Command {
    let two = ["--device", device, "--steps", "2", "--set", "train.checkpoint_every=1"];
    train_few(run, &[&two, more].concat())
}

/// Takes such a run back to its first step.
fn back_to_the_first_step(run: &Path) {
    std::fs::remove_file(run.join("checkpoints/step-000002.safetensors")).unwrap();
    std::fs::write(run.join("checkpoints/latest"), "step-000001.safetensors").unwrap();
}

/// The tensors of a run's last checkpoint as bytes, without its settings.
fn weights(run: &Path) -> Vec<u8> {
    let bytes = last(run);
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    bytes[8 + usize::try_from(header).unwrap()..].to_vec()
}

#[test]
fn a_run_trains_in_its_precision_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_two_steps(&run, "cuda", &["--precision", "bf16"]));
    let whole = weights(&run);
    back_to_the_first_step(&run);
    success(&mut resume(&run, "cuda"));
    assert!(weights(&run) == whole, "a step in bf16, a restart and a step are not 2 steps");
    back_to_the_first_step(&run);
    let said = failure(&mut resume(&run, "cpu"));
    assert!(said.contains("CUDA devices alone compute in `bf16`, the CPU in `f32`"), "{said}");
    let (_, said) = success(resume(&run, "cpu").args(["--precision", "f32"]));
    assert!(said.contains("the run has computed in bf16 so far, and continues in f32"), "{said}");
}

#[test]
fn an_image_is_drawn_in_each_precision() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    success(&mut train_tiny(&at("run"), &["--steps", "1", "--device", "cpu"]));
    let draw = |precision: &str, device: &str| {
        let mut command = sample(&at("run"), device, &at(&format!("{precision}.png")));
        command.args(["--precision", precision]);
        command
    };
    for precision in ["f32", "tf32", "bf16", "f64"] {
        success(&mut draw(precision, "cuda"));
    }
    let said = failure(&mut draw("tf32", "cpu"));
    assert!(said.contains("CUDA devices alone"), "{said}");

    let folder = |precision: &str| {
        let mut command = drgan();
        command.args(["sample", "a red heart", "--count", "1", "--device", "cpu", "--precision", precision]);
        command.arg("--run").arg(at("run")).arg("--out-dir").arg(at("folder"));
        command
    };
    success(&mut folder("f32"));
    let said = failure(&mut folder("f64"));
    assert!(said.contains("drawn in f32") && said.contains("another folder"), "{said}");
}

fn resume(run: &Path, device: &str) -> Command {
    let mut command = drgan();
    command.args(["train", "--no-evaluate", "--device", device, "--resume"]).arg(run);
    on_device(command)
}

fn sample(run: &Path, device: &str, out: &Path) -> Command {
    let mut command = drgan();
    command.args(["sample", "a red heart", "--device", device, "--run"]).arg(run).arg("--out").arg(out);
    on_device(command)
}

#[test]
fn a_run_on_the_device_resumes_to_its_bits_and_draws_the_cpus_image() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    success(&mut train_two_steps(&at("run"), "cuda", &[]));
    let whole = last(&at("run"));

    back_to_the_first_step(&at("run"));
    success(&mut resume(&at("run"), "cuda"));
    assert!(last(&at("run")) == whole, "a step, a restart and a step on the device are not 2 steps");

    success(&mut sample(&at("run"), "cuda", &at("device.png")));
    success(&mut sample(&at("run"), "cpu", &at("cpu.png")));
    assert_same_image(&at("device.png"), &at("cpu.png"));
}

/// Every channel of every pixel is the same but for rounding.
fn assert_same_image(a: &Path, b: &Path) {
    let (a, b) = (image::open(a).unwrap().to_rgb8(), image::open(b).unwrap().to_rgb8());
    assert_eq!(a.dimensions(), b.dimensions());
    let furthest = a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(furthest.is_some_and(|furthest| furthest <= 1), "a channel differs by {furthest:?} of 255");
}

#[test]
fn cudnn_is_used_where_it_is_and_missed_by_nobody() {
    let Some(folder) = emulator() else {
        eprintln!(
            "skipped: DRGAN_CUDA_EMULATOR names no emulated device, and a GPU does not count convolutions"
        );
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    success(&mut train_tiny(&at("run"), &["--device", "cpu"]));
    for library in LIBRARIES {
        std::fs::copy(folder.join(library), at(library)).unwrap();
    }
    let counted = |libraries: &Path, image: &str, convolutions: &str| {
        let mut command = sample(&at("run"), "cuda", &at(image));
        command.env("LD_LIBRARY_PATH", libraries).env("CUDAEMU_REPORT", at("report"));
        command.env("DRGAN_CONV", convolutions);
        let status = command.output().unwrap();
        let report = std::fs::read_to_string(at("report")).unwrap_or_default();
        (status, report.contains("cudnn forward"), report.contains("conv_columns"))
    };
    for (convolutions, by_cudnn) in [("cudnn", true), ("gemm", false)] {
        let (output, cudnn, columns) = counted(&folder, &format!("{convolutions}.png"), convolutions);
        assert!(output.status.success());
        assert_eq!((cudnn, columns), (by_cudnn, !by_cudnn), "DRGAN_CONV={convolutions}");
    }
    assert_same_image(&at("cudnn.png"), &at("gemm.png"));

    let mut without = sample(&at("run"), "cuda", &at("without.png"));
    success(without.env("LD_LIBRARY_PATH", dir.path()));
    assert!(bytes(&at("without.png")) == bytes(&at("gemm.png")), "a missing cuDNN is not DRGAN_CONV=gemm");
    let (output, ..) = counted(dir.path(), "none.png", "cudnn");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("libcudnn.so.9"), "{said}");
    assert!(said.contains("nvidia-cudnn-cu13"), "{said}");
    // Before anything is computed.
    let said = refusal("cuda", &folder, &[("DRGAN_CONV", "nonsense")]);
    assert!(said.contains("DRGAN_CONV: `nonsense` is neither `cudnn` nor `gemm`"), "{said}");
}

#[test]
fn a_run_goes_from_the_cpu_to_the_device_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_two_steps(&run, "cpu", &[]));
    for device in ["cuda", "cpu"] {
        back_to_the_first_step(&run);
        success(&mut resume(&run, device));
    }
}

#[test]
fn a_device_without_memory_left_keeps_the_last_checkpoint() {
    if emulator().is_none() {
        eprintln!("skipped: DRGAN_CUDA_EMULATOR names no emulated device, and a GPU's memory cannot be set");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    success(&mut train_two_steps(&run, "cpu", &[]));
    back_to_the_first_step(&run);
    let before = bytes(&run.join("checkpoints/step-000001.safetensors"));
    let small = |more: &[&str]| failure(resume(&run, "cuda").args(more).env("CUDAEMU_MEMORY", "30000000"));
    let said = small(&["--force"]);
    assert!(said.contains("the last checkpoint is kept") && said.contains("--device cpu"), "{said}");
    assert!(!said.contains("lower loader.batch"), "a resumed run keeps its batch: {said}");
    let said = small(&[]);
    assert!(said.contains("memory of the device: about ") && !said.contains("lower"), "{said}");
    let said = failure(&mut resume(&run, "cuda:7"));
    assert!(said.contains("there is one device, `cuda:0`"), "{said}");
    assert!(said.contains("--device cpu, or --device cuda:0"), "{said}");
    let mut draw = sample(&run, "cuda", &dir.path().join("a.png"));
    let said = failure(draw.args(["--count", "1"]).env("CUDAEMU_MEMORY", "1000000"));
    assert!(said.contains("--device cpu") && !said.contains("batch") && !said.contains("--count"), "{said}");
    assert!(bytes(&run.join("checkpoints/step-000001.safetensors")) == before);
    success(&mut resume(&run, "cpu"));
}

/// What `sample --device DEVICE` says where the device has these settings and libraries.
fn refusal(device: &str, libraries: &Path, settings: &[(&str, &str)]) -> String {
    let mut command = drgan();
    command.args(["sample", "a red heart", "--device", device]).env("LD_LIBRARY_PATH", libraries);
    failure(command.envs(settings.iter().copied()))
}

#[test]
fn what_a_device_lacks_is_named() {
    let Some(folder) = emulator() else {
        eprintln!(
            "skipped: DRGAN_CUDA_EMULATOR names no emulated device, and NVIDIA's libraries stay where they are"
        );
        return;
    };
    for missing in LIBRARIES {
        let there = tempfile::tempdir().unwrap();
        for library in LIBRARIES.iter().filter(|library| **library != missing) {
            std::fs::copy(folder.join(library), there.path().join(library)).unwrap();
        }
        let said = refusal("cuda", there.path(), &[]);
        assert!(said.contains(missing) && said.contains("LD_LIBRARY_PATH"), "{missing}: {said}");
    }
    for (device, setting, words) in [
        ("cuda", ("CUDAEMU_DEVICES", "0"), "there is no NVIDIA GPU"),
        ("cuda:3", ("CUDAEMU_DEVICES", "2"), "`cuda:3`: there are 2 devices"),
        ("cuda", ("CUDAEMU_DRIVER", "12040"), "the driver supports CUDA 12.4, this program needs 13.0"),
    ] {
        let said = refusal(device, &folder, &[setting]);
        assert!(said.contains(words), "{words} is not in: {said}");
    }
}

/// `train --dry-run` of `tiny` on a device with these settings and libraries; nothing is computed on it.
fn dry_run(device: &str, libraries: &Path, more: &[&str], setting: (&str, &str)) -> Command {
    let mut command = drgan();
    command.args(["train", "--preset", "tiny", "--dry-run", "--device", device]).args(more);
    command.env("LD_LIBRARY_PATH", libraries).env("CUDAEMU_KERNELS", "count").env(setting.0, setting.1);
    command
}

#[test]
fn auto_says_why_it_is_the_cpu_where_there_is_a_driver() {
    let Some(folder) = emulator() else {
        eprintln!("skipped: DRGAN_CUDA_EMULATOR names no emulated device, and a GPU's driver stays as it is");
        return;
    };
    let alone = tempfile::tempdir().unwrap();
    std::fs::copy(folder.join(LIBRARIES[0]), alone.path().join(LIBRARIES[0])).unwrap();
    let nothing = tempfile::tempdir().unwrap();
    for (libraries, setting, why) in [
        (folder.as_path(), ("CUDAEMU_DRIVER", "12040"), Some("the driver supports CUDA 12.4")),
        (alone.path(), ("CUDAEMU_DRIVER", "13000"), Some("libcublas.so.13 cannot be loaded")),
        (nothing.path(), ("CUDAEMU_DRIVER", "13000"), None),
    ] {
        let (_, said) = success(&mut dry_run("auto", libraries, &[], setting));
        let warnings = said.matches("warning: the CPU computes, as the CUDA device cannot be opened").count();
        assert_eq!(warnings, usize::from(why.is_some()), "{said}");
        assert!(said.contains(why.unwrap_or_default()), "{said}");
    }
}

#[test]
fn a_dry_run_counts_the_devices_memory_and_tells_its_settings_before_it_fails() {
    let Some(folder) = emulator() else {
        eprintln!("skipped: DRGAN_CUDA_EMULATOR names no emulated device, and a GPU's memory cannot be set");
        return;
    };
    let run = |bytes: &str, more: &[&str]| {
        let output = dry_run("cuda", &folder, more, ("CUDAEMU_MEMORY", bytes)).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (done, told, said) = run("9663676416", &[]);
    assert!(
        done && told.contains("memory of the device: about ") && told.contains(" of 9.0 GiB"),
        "{told}{said}"
    );
    let (done, _, said) = run("30000000", &[]);
    assert!(!done && said.contains("memory of the device: about ") && said.contains("; lower `"), "{said}");
    let (done, told, said) = run("30000000", &["--force"]);
    assert!(!done && said.contains("lower loader.batch"), "{said}");
    assert!(told.contains("[loader]") && told.contains("memory of the device: about "), "{told}");
}

#[test]
fn a_run_without_cudnn_says_so_once_and_keeps_what_has_computed_it() {
    let Some(folder) = emulator() else {
        eprintln!("skipped: DRGAN_CUDA_EMULATOR names no emulated device, and cuDNN stays where it is");
        return;
    };
    let (dir, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for library in LIBRARIES {
        std::fs::copy(folder.join(library), without.path().join(library)).unwrap();
    }
    let run = dir.path().join("run");
    let mut begin = train_few(&run, &["--device", "cuda", "--steps", "1"]);
    let (_, said) = success(begin.env("CUDAEMU_KERNELS", "count").env("LD_LIBRARY_PATH", without.path()));
    assert_eq!(said.matches("libcudnn.so.9 cannot be loaded").count(), 1, "{said}");
    assert!(
        said.contains("warning: convolutions are slower") && said.contains("nvidia-cudnn-cu13"),
        "{said}"
    );
    let log = std::fs::read_to_string(run.join("log.jsonl")).unwrap();
    assert!(log.contains("convolutions by columns and cuBLAS") && log.contains("libcudnn.so.9"), "{log}");
    let mut goes_on = resume(&run, "cuda");
    let (_, said) = success(goes_on.args(["--steps", "2"]).env("CUDAEMU_KERNELS", "count"));
    let changed = "has computed convolutions by columns and cuBLAS so far, and continues by cuDNN 9.13.0";
    assert!(said.contains(changed) && !said.contains("cannot be loaded"), "{said}");
    let mut goes_on = resume(&run, "cuda");
    let (_, said) = success(goes_on.args(["--steps", "3"]).env("CUDAEMU_KERNELS", "count"));
    assert!(!said.contains("so far"), "{said}");
}

/// What the emulated device counts in a training run of so many steps.
fn counts(dir: &Path, steps: &str) -> serde_json::Value {
    let report = dir.join(format!("{steps}.json"));
    let mut command = train_few(&dir.join(steps), &["--steps", steps, "--device", "cuda"]);
    success(command.env("CUDAEMU_REPORT", &report));
    serde_json::from_slice(&bytes(&report)).unwrap()
}

#[test]
fn a_step_waits_for_the_device_once() {
    if emulator().is_none() {
        eprintln!("skipped: DRGAN_CUDA_EMULATOR names no emulated device, and a GPU counts nothing");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (counts(dir.path(), "1"), counts(dir.path(), "2"));
    let of_a_step = |name: &str| two[name].as_u64().unwrap() - one[name].as_u64().unwrap();
    assert_eq!(of_a_step("downloads"), 1, "downloads");
    assert_eq!(of_a_step("float_atomics"), 0, "sums in an order of their own");
    assert_eq!(of_a_step("pinned_uploads"), 1, "the images of a batch, at once");
    let launches = of_a_step("launches");
    assert!(launches <= 2500, "{launches} launches in a step; docs/cuda.md says how many there were");
}

/// Live bytes of tensors at the peak of the step below in PyTorch 2.15.0, by benches/pytorch/memory.py.
const PYTORCHS_PEAK: u64 = 12_793_893_548;

#[test]
fn birds_needs_no_more_memory_than_in_pytorch() {
    if emulator().is_none() {
        eprintln!("skipped: DRGAN_CUDA_EMULATOR names no emulated device, and a GPU counts nothing");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (run, report) = (dir.path().join("run"), dir.path().join("report"));
    let mut command = drgan();
    command.args(["train", "--preset", "birds", "--steps", "2", "--no-evaluate", "--force"]);
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../drgan-data/assets/fluent-emoji.tar");
    command.args(["--device", "cuda", "--data"]).arg(assets).arg("--out").arg(run);
    // Inception's weights are not at hand.
    let backbone = ["image_encoder.backbone=efficientnet-lite0", "image_encoder.side=128"];
    for set in backbone.into_iter().chain(["damsm.epochs=1", "damsm.batch=8", "data.limit=60"]) {
        command.args(["--set", set]);
    }
    let mut command = on_device(command);
    success(command.env("CUDAEMU_KERNELS", "count").env("CUDAEMU_REPORT", &report));
    let report: serde_json::Value = serde_json::from_slice(&bytes(&report)).unwrap();
    let peak = report["tensor_peak_bytes"].as_u64().unwrap();
    assert!(peak > 1 << 30, "{peak} bytes: not the memory of a step");
    assert!(peak <= PYTORCHS_PEAK, "{peak} bytes of tensors, {PYTORCHS_PEAK} in PyTorch");
}

#[test]
fn auto_is_the_cpu_where_there_is_no_device() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = train_tiny(&dir.path().join("run"), &["--steps", "1", "--device", "auto"]);
    success(command.env("LD_LIBRARY_PATH", dir.path()).env("CUDAEMU_DEVICES", "0"));
}
