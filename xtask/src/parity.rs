//! `cargo xtask parity`: golden files by our program, exported models by ONNX Runtime and PyTorch.
use crate::environment::Environment;
use crate::{environment, run};
use anyhow::{Context, Result, bail};
use std::process::{Command, ExitCode};

/// What asks for exported models, where they are run, and the script that compares.
const EXPORTED: [(&str, &Environment, &str); 2] = [
    ("--onnx", &environment::ONNX, "parity/python/onnx_exports.py"),
    ("--torch", &environment::PYTORCH, "parity/python/torch_exports.py"),
];

/// Becomes `drgan-parity ARGS`, or with `--onnx` or `--torch` lets it write exported models and runs them elsewhere.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let asks_for_help = args.iter().any(|arg| arg == "--help" || arg == "-h");
    let exported = EXPORTED.iter().find(|(flag, ..)| args.iter().any(|arg| arg == flag));
    let Some((_, environment, script)) = exported.filter(|_| !asks_for_help) else {
        return run::parity(args);
    };
    let folder = run::target().join("exports");
    if folder.exists() {
        // Graphs of an earlier call would be compared once more.
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let mut write = Command::new(run::build("drgan-parity")?);
    let status = write.args(args).arg("--write-exports").arg(&folder).status().context("drgan-parity")?;
    if !status.success() {
        bail!("the models could not be written: see the message above")
    }
    let mut compare = Command::new(environment::python(environment)?);
    compare.arg(run::root().join(script)).arg(&folder);
    run::become_it(compare)
}
