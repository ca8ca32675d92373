//! `cargo xtask device-check`.
#[path = "../../../benches/src/bin/device_check/options.rs"]
mod options;
mod pack;

use crate::{cuda, run};
use anyhow::{Result, bail};
use clap::Args;
use options::Options;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const PROGRAM: &str = "drgan-device-check";
const EXAMPLES: &str = "\
Examples:
  cargo xtask device-check                         all parts on the first GPU; results in target/device-check
  cargo xtask device-check --quick                 the same with small sizes: seconds
  cargo xtask device-check --part ops --part train whether it computes right
  cargo xtask device-check --device cuda:1 --again anew, on the second GPU
  cargo xtask device-check --pack                  an archive for a GPU machine without Rust: unpack it there, run ./device-check

A call with the same --out does what is left, and what has failed again. Ctrl-C and SIGTERM keep what is done.
Exit status: 0 all is right, 1 a part failed, 2 wrong options or a folder that cannot be used, 3 something is left to do, 4 there
is no device to check, 130 or 143 stopped.";

/// Check a CUDA device: values and gradients, equal bits, golden files, training, memory accesses, speed; or pack the check for
/// another machine.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeviceCheck {
    /// Build an archive for a machine without Rust and without CUDA's toolkit, the file that --out names [default:
    /// target/drgan-device-check.tar.gz].
    #[arg(long, conflicts_with_all = ["parts", "again", "quick", "device"])]
    pack: bool,
    #[command(flatten)]
    options: Options,
}

impl DeviceCheck {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        if self.pack {
            let default = || run::target().join(format!("{PROGRAM}.tar.gz"));
            return pack::pack(&build(true)?, &self.options.out.clone().unwrap_or_else(default));
        }
        let mut check = Command::new(build(!cuda::has_toolkit())?);
        check.args(self.options.arguments(&run::target().join("device-check")));
        run::become_it(check)
    }
}

/// Builds the program with support for CUDA devices.
fn build(shims: bool) -> Result<PathBuf> {
    if cfg!(not(target_os = "linux")) {
        bail!("the device check is for Linux: there it finds NVIDIA's libraries by their names")
    }
    let build = run::build_command(PROGRAM, &[cuda::FEATURE]);
    let mut build = if shims { cuda::with_shims(build) } else { build };
    run::binary(&mut build, PROGRAM)
}

/// A folder of the repository.
fn folder(path: &str) -> PathBuf {
    run::root().join(Path::new(path))
}
