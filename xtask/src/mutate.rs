//! `cargo xtask mutate`: whether the tests notice when a CUDA kernel or its launch is wrong.
use crate::run;
use anyhow::Result;
use clap::Args;
use std::process::{Command, ExitCode};

/// Make the CUDA kernels and their launches wrong, one fault of .ci/cuda/mutations.txt at a time, and name the test that
/// notices each; fails if one is not noticed. Needs bash, g++ and Python 3, no GPU.
#[derive(Args)]
pub(crate) struct Mutate {
    /// Only faults whose line contains this, e.g. `pool` or `launch`.
    filter: Option<String>,
}

impl Mutate {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let mut command = Command::new("bash");
        command.current_dir(run::root()).args([
            "-c",
            ". .ci/cuda/env.sh \"${CARGO_TARGET_DIR:-target}/cuda\" && exec python3 .ci/cuda/mutate.py \"$@\"",
            "mutate",
        ]);
        command.args(&self.filter);
        run::become_it(command)
    }
}
