//! `cargo xtask asan`: the kernels' tests under AddressSanitizer, which stops at the first access outside its memory.
use crate::run;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The target whose runtime is looked for; a target must be named, so that build scripts are left as they are.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The kernels' tests under AddressSanitizer, in a target folder of their own.
#[derive(Args)]
pub(crate) struct Asan {
    /// Passed on, e.g. `--test extremes`; by default the library's and all other tests.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Asan {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let output =
            Command::new("rustc").args(["--print", "sysroot"]).output().context("rustc cannot be started")?;
        let sysroot = String::from_utf8(output.stdout).context("rustc names its folder in no UTF-8")?;
        let libraries = Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib");
        let names = std::fs::read_dir(&libraries).with_context(|| libraries.display().to_string())?;
        if !names.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with("rt.asan.a")) {
            bail!(
                "{}: no AddressSanitizer runtime (librustc-*_rt.asan.a); rustup's toolchains for {TARGET} have it",
                libraries.display()
            )
        }
        let mut cargo = run::cargo();
        cargo.args(["test", "-p", "drgan-kernels", "--release", "--locked", "--target", TARGET]);
        if self.args.is_empty() {
            cargo.args(["--lib", "--tests"]);
        }
        cargo.args(&self.args);
        // A stable compiler has sanitizers, but takes the flag only with this variable.
        cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
        cargo.env("CARGO_TARGET_DIR", run::root().join("target/asan"));
        run::become_it(cargo)
    }
}
