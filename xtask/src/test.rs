//! `cargo xtask test`.
use crate::run;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// All tests; `cargo test` is enough for them.
#[derive(Args)]
pub(crate) struct Test {
    /// Use cargo-nextest, which must be installed: one process per test, all cores.
    #[arg(long)]
    nextest: bool,
    /// Passed on, e.g. a part of a test's name.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Test {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let mut cargo = run::cargo();
        if self.nextest {
            cargo.args(["nextest", "run", "--workspace", "--release"]);
        } else {
            // Documentation examples link the whole of candle each; CI runs them as a step of their own.
            cargo.args(["test", "--workspace", "--release", "--lib", "--bins", "--tests", "--no-fail-fast"]);
        }
        cargo.args(&self.args);
        run::become_it(cargo)
    }
}
