//! `cargo xtask bench`.
use crate::measure::{MODES, Pace};
use crate::{cuda, growth, peer, run};
use anyhow::{Result, bail};
use clap::Args;
use std::path::Path;
use std::process::ExitCode;

/// Tells the benchmarks where to compute.
const DEVICE: &str = "DRGAN_BENCH_DEVICE";

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench sdm -- B4$                     a module at full size only
  cargo xtask bench sdm --device cuda              a module on the first GPU
  cargo xtask bench --save-baseline before         keep results; later: --baseline before
  cargo xtask bench --peer image-1 step-4          beside PyTorch
  cargo xtask bench --growth                       time and memory against batch, image size and words
  cargo xtask bench --growth image/birds/batch     of those one curve
  cargo xtask bench --growth step/emoji-64/batch/2 --runs 1";

/// Benchmarks by module, the comparison with PyTorch, or growth with batch, image size and words.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    /// Some of benches/benches/*.rs, e.g. `kernels`; with --peer, rows of its table, e.g. `image-1`; with --growth, points by
    /// the start of their names, e.g. `step/birds`. None: all.
    #[arg(value_name = "MODULE|ROW|POINT")]
    names: Vec<String>,
    /// Compare with the same network in PyTorch (benches/pytorch): time and memory, run by run. Installs PyTorch under target/
    /// on the first call, about 3 GB.
    #[arg(long, group = MODES, conflicts_with_all = ["baseline", "save_baseline", "criterion"])]
    peer: bool,
    /// Measure how time and memory grow, one process per point; prints a table and writes growth.json and growth.svg into
    /// target/growth.
    #[arg(long, group = MODES, conflicts_with_all = ["baseline", "save_baseline", "criterion"])]
    growth: bool,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    comparison: peer::Options,
    /// Compare with the results kept under this name.
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Keep the results under this name.
    #[arg(long, value_name = "NAME", conflicts_with = "baseline")]
    save_baseline: Option<String>,
    /// Where modules compute: `cpu`, `cuda` or `cuda:N`; a CUDA device's support is built in then.
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["peer", "growth"])]
    device: Option<String>,
    /// Passed to criterion, e.g. a part of a benchmark's name, or `--test` to run each once.
    #[arg(last = true)]
    criterion: Vec<String>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        if self.peer {
            return self.comparison.run(self.pace, &self.names);
        }
        if self.growth {
            return growth::run(self.pace, &self.names);
        }
        let modules = modules(&run::root())?;
        let mut cargo = run::cargo();
        cargo.args(["bench", "--workspace"]);
        let on_cuda = self.device.as_ref().is_some_and(|device| device != "cpu");
        if on_cuda {
            cargo.args(["--features", cuda::FEATURE]);
        }
        if let Some(module) = self.names.iter().find(|m| !modules.contains(m)) {
            bail!("no benchmarks named `{module}`: there are {}", modules.join(", "))
        }
        // By name even where all are meant: `--benches` would hand criterion's options to binaries' test harnesses.
        let chosen = if self.names.is_empty() { &modules } else { &self.names };
        cargo.args(chosen.iter().flat_map(|m| ["--bench", m]));
        cargo.arg("--");
        for (option, name) in [("--baseline", &self.baseline), ("--save-baseline", &self.save_baseline)] {
            cargo.args(name.iter().flat_map(|n| [option, n]));
        }
        cargo.args(&self.criterion);
        let mut cargo = if on_cuda && !cuda::has_toolkit() { cuda::with_shims(cargo) } else { cargo };
        cargo.envs(self.device.as_ref().map(|device| (DEVICE, device)));
        run::become_it(cargo)
    }
}

/// The benchmarks there are, sorted.
fn modules(root: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(root.join("benches/benches"))?
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_a_file() -> Result<()> {
        assert!(modules(&run::root())?.contains(&"kernels".to_owned()));
        Ok(())
    }
}
