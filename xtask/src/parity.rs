//! `cargo xtask parity`: golden files by our program, exported graphs by ONNX Runtime.
use crate::{environment, run};
use anyhow::{Context, Result, bail};
use std::process::{Command, ExitCode};

/// What asks for exported graphs.
const ONNX: &str = "--onnx";

/// Becomes `drgan-parity ARGS`, or with `--onnx` lets it write graphs and runs them in ONNX Runtime.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let asks_for_help = args.iter().any(|arg| arg == "--help" || arg == "-h");
    if !args.iter().any(|arg| arg == ONNX) || asks_for_help {
        return run::parity(args);
    }
    let folder = run::target().join("onnx/exports");
    if folder.exists() {
        // Graphs of an earlier call would be compared once more.
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let mut write = Command::new(run::build("drgan-parity")?);
    let status = write.args(args).arg("--write-exports").arg(&folder).status().context("drgan-parity")?;
    if !status.success() {
        bail!("the graphs could not be written: see the message above")
    }
    let mut compare = Command::new(environment::python(&environment::ONNX)?);
    compare.arg(run::root().join("parity/python/onnx_exports.py")).arg(&folder);
    run::become_it(compare)
}
