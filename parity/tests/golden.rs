//! The committed golden files agree; wrong weights, unknown files and missing tensors are told.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use assert_cmd::Command;
use drgan_parity::{Outcome, Report, run};
use drgan_tensor::candle_core::Device;
use drgan_tensor::device::{DeviceRequest, HOST};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Golden files small enough to ship: released generator (one caption), real image path, two discriminators, name lists.
fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The folder of all golden files beside the repository, where there is one.
fn shared() -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join("shared"));
    found.into_iter().find(|p| p.join("golden/golden.json").is_file())
}

fn copy(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        std::fs::copy(committed().join(name), dir.path().join(name)).unwrap();
    }
    dir
}

/// What the committed files are compared on: the CPU, or the device that DRGAN_TEST_DEVICE names.
fn device() -> Device {
    let named = std::env::var("DRGAN_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    named.parse::<DeviceRequest>().unwrap().open().unwrap()
}

fn run_here(dir: &Path) -> anyhow::Result<Report> {
    run(dir, dir, &HOST)
}

#[test]
fn the_committed_files_agree() {
    let report = run(&committed(), &committed(), &device()).unwrap();
    assert_eq!(report.failures(), 0, "{report}");
    for tensor in ["fake256", "attention64", "recon128", "recon", "logvar", "252 used"] {
        assert!(report.rows.iter().any(|r| r.tensor == tensor), "{tensor} is not compared:\n{report}");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped check says so")]
fn all_golden_files_agree() {
    let Some(shared) = shared() else {
        eprintln!("skipped: no shared/golden beside the repository");
        return;
    };
    let report = run(&shared.join("golden"), &shared, &HOST).unwrap();
    assert_eq!(report.failures(), 0, "{report}");
    assert!(report.rows.len() > 100, "{report}");
}

#[test]
fn another_salt_and_another_scale_disagree() {
    let files = ["generator.safetensors", "discriminator64.safetensors"];
    let dir = copy(&files);
    std::fs::write(dir.path().join("golden.json"), r#"{"salt": "seed-b", "mask_logit_scale": 0.25}"#)
        .unwrap();
    let report = run_here(dir.path()).unwrap();
    assert!(report.rows.iter().all(|r| r.outcome.is_failure()), "{report}");

    std::fs::write(dir.path().join("golden.json"), r#"{"salt": "seed-a", "mask_logit_scale": 0.3}"#).unwrap();
    let failed: Vec<String> = {
        let report = run_here(dir.path()).unwrap();
        report.rows.into_iter().filter(|r| r.outcome.is_failure()).map(|r| r.tensor).collect()
    };
    assert_eq!(failed, ["fake256"], "the mask's scale reaches later stages only");
}

#[test]
fn a_list_with_a_name_too_few_or_too_many_fails() {
    let dir = copy(&["golden.json"]);
    let text = std::fs::read_to_string(committed().join("keys_netD0_bird.txt")).unwrap();
    let list = dir.path().join("keys_netD0_bird.txt");
    let failures = |text: &str| {
        std::fs::write(&list, text).unwrap();
        run_here(dir.path()).unwrap().failures()
    };
    assert_eq!(failures(&text), 0);
    assert_eq!(failures(&text.replace("COND_DNET.outlogits.0.bias", "COND_DNET.outlogits.0.bios")), 2);
    assert_eq!(failures(&text.replace("weight_v\t[48]", "weight_v\t[49]")), 1);
}

#[test]
fn a_tensor_that_nothing_compares_fails() {
    let dir = copy(&["golden.json"]);
    let mut tensors: HashMap<String, _> = candle_core::safetensors::load(
        committed().join("real_image_path.safetensors"),
        &candle_core::Device::Cpu,
    )
    .unwrap();
    tensors.insert("recon512".into(), tensors["recon64"].clone());
    candle_core::safetensors::save(&tensors, dir.path().join("real_image_path.safetensors")).unwrap();
    let report = run_here(dir.path()).unwrap();
    let failed: Vec<_> = report.rows.iter().filter(|r| r.outcome.is_failure()).collect();
    assert_eq!(failed.len(), 1, "{report}");
    assert!(failed[0].tensor == "recon512" && matches!(failed[0].outcome, Outcome::Failed(_)), "{report}");
}

/// A golden file with its mask as `change` makes it.
fn with_mask(change: impl Fn(&candle_core::Tensor) -> candle_core::Tensor) -> Report {
    let dir = copy(&["golden.json"]);
    let name = "generator.safetensors";
    let (mut tensors, metadata) =
        drgan_tensor::weights::safetensors::load(&committed().join(name), &candle_core::Device::Cpu).unwrap();
    let mask = change(&tensors["mask"]);
    tensors.insert("mask".to_owned(), mask);
    drgan_tensor::weights::safetensors::save(&dir.path().join(name), &tensors, &metadata).unwrap();
    run_here(dir.path()).unwrap()
}

#[test]
fn masks_of_other_types_and_longer_captions_are_taken() {
    use candle_core::DType;
    let padded = |m: &candle_core::Tensor| {
        let wide = m.to_dtype(DType::I64).unwrap();
        candle_core::Tensor::cat(&[&wide, &wide.ones_like().unwrap()], 1).unwrap()
    };
    let report = with_mask(padded);
    assert_eq!(report.failures(), 0, "{report}");
    let words =
        |m: &candle_core::Tensor| candle_core::Tensor::cat(&[m, &m.zeros_like().unwrap()], 1).unwrap();
    let report = with_mask(words);
    assert!(report.to_string().contains("`mask` has words beyond"), "{report}");
}

#[test]
fn the_program_says_what_failed_by_its_exit_status() {
    let parity = |dir: &Path| Command::new(env!("CARGO_BIN_EXE_drgan-parity")).arg(dir).output().unwrap();
    let dir = copy(&["golden.json", "discriminator64.safetensors"]);
    let out = parity(dir.path());
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stdout));

    std::fs::write(dir.path().join("mystery.safetensors"), "").unwrap();
    let out = parity(dir.path());
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(2) && said.contains("mystery.safetensors"), "{said}");

    std::fs::remove_file(dir.path().join("mystery.safetensors")).unwrap();
    let path = dir.path().join("discriminator64.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    let out = parity(dir.path());
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.code() == Some(1) && said.contains("FAIL"), "{said}");

    let nowhere = parity(&dir.path().join("nowhere"));
    assert_eq!(nowhere.status.code(), Some(2), "no golden.json");
}
