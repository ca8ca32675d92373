//! `cargo xtask ci`.
use crate::run;
use anyhow::Result;
use std::process::{Command, ExitCode};

pub(crate) fn run() -> Result<ExitCode> {
    let mut ci = Command::new("bash");
    ci.arg(".ci/run").current_dir(run::root());
    run::become_it(ci)
}
