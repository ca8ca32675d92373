//! Project automation: `cargo xtask --help`. Links neither candle nor the model crates, so it starts at once.

mod asan;
mod bench;
mod ci;
mod compat;
mod cuda;
mod data;
mod device_check;
mod environment;
mod finetune;
mod growth;
mod kills;
mod measure;
mod mutate;
mod parity;
mod peer;
mod random;
mod run;
mod test;
mod tidy;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  cargo xtask train                              train the default preset on the embedded data set
  cargo xtask train --preset tiny --out runs/t   a run of seconds
  cargo xtask sample \"a red heart\" --out hearts.png
  cargo xtask train --features cuda              with support for NVIDIA GPUs (docs/cuda.md)
  cargo xtask train --help                       the options of `drgan train`
  cargo xtask parity ../shared/golden            compare golden files of another framework with our modules
  cargo xtask parity --onnx                      compare exported models in ONNX Runtime with our images
  cargo xtask test                               all tests
  cargo xtask asan                               the kernels' tests under AddressSanitizer
  cargo xtask bench kernels -- up_conv2d         some benchmarks of one module
  cargo xtask bench --baseline before            compare with what `--save-baseline before` kept
  cargo xtask bench sdm --device cuda            the same on a GPU
  cargo xtask bench --peer step-4                beside the same training step in PyTorch
  cargo xtask bench --growth                     time and memory against batch, image size and words
  cargo xtask compat v0.1.0                      whether an older revision's run continues with the same bits
  cargo xtask finetune --steps 300               what starting from the pretrained model is worth, on 100 pictures
  cargo xtask kills --times 100                  runs that are killed at random moments continue to the same bits
  cargo xtask mutate pool                        whether tests notice faults in CUDA kernels, without a GPU
  cargo xtask device-check --quick               whether a GPU computes right, in seconds; --pack for a machine without Rust
  cargo xtask tidy                               the invariants a program can check";

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about, version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

/// What the `drgan` binary gets, untouched.
#[derive(Args)]
#[command(disable_help_flag = true)]
struct Rest {
    /// Arguments of the `drgan` command of the same name; `--help` shows them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[derive(Subcommand)]
enum Task {
    /// Train the encoders, then the GAN.
    Train(Rest),
    /// Train the encoders alone.
    Pretrain(Rest),
    /// Draw captions with the pretrained model, or a run's.
    Sample(Rest),
    /// Measure a trained generator.
    Evaluate(Rest),
    /// Write a trained run as one model file.
    Export(Rest),
    /// Make data sets.
    Data(data::Data),
    /// Show the tensors of a weight file.
    Inspect(Rest),
    /// Write a third-party weight file as safetensors.
    Import(Rest),
    /// Compare golden files of another framework with our modules, e.g. `cargo xtask parity ../shared/golden`; or exported models
    /// in ONNX Runtime (--onnx) and PyTorch (--torch) with our images.
    Parity(Rest),
    /// Run all tests.
    Test(test::Test),
    /// Run the kernels' tests under AddressSanitizer.
    Asan(asan::Asan),
    /// Run the benchmarks of a module, or of all; or compare with PyTorch (--peer), or measure growth (--growth).
    Bench(bench::Bench),
    /// Compare the bits of a short training run with those of an older revision.
    Compat(compat::Compat),
    /// Train on 100 pictures, from the pretrained model and from initial values, and compare.
    Finetune(finetune::Finetune),
    /// Kill training runs at random moments, and check that they continue to the same bits.
    Kills(kills::Kills),
    /// Make CUDA kernels wrong, one fault at a time, and see that a test notices.
    Mutate(mutate::Mutate),
    /// Check that a GPU computes right, and how fast; or pack this check for a machine without Rust (--pack).
    DeviceCheck(device_check::DeviceCheck),
    /// Check the invariants of docs/architecture.md.
    Tidy {
        /// The tree to check.
        #[arg(long, value_name = "DIR", default_value_os_t = run::root())]
        root: PathBuf,
    },
    /// What continuous integration runs: `.ci/run`.
    Ci,
}

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => perform(cli.task).unwrap_or_else(|e| drgan_terminal::failed(&e, |_| false, None)),
        Err(answer) => drgan_terminal::refused(&answer),
    }
}

/// Becomes `drgan COMMAND ARGS`.
fn drgan(command: &str, rest: &Rest) -> Result<ExitCode> {
    run::drgan(std::iter::once(command).chain(rest.args.iter().map(String::as_str)))
}

fn perform(task: Task) -> Result<ExitCode> {
    match task {
        Task::Train(rest) => drgan("train", &rest),
        Task::Pretrain(rest) => drgan("pretrain", &rest),
        Task::Sample(rest) => drgan("sample", &rest),
        Task::Evaluate(rest) => drgan("evaluate", &rest),
        Task::Data(data) => data.run(),
        Task::Export(rest) => drgan("export", &rest),
        Task::Inspect(rest) => drgan("inspect", &rest),
        Task::Import(rest) => drgan("import", &rest),
        Task::Parity(rest) => parity::run(&rest.args),
        Task::Test(test) => test.run(),
        Task::Asan(asan) => asan.run(),
        Task::Bench(bench) => bench.run(),
        Task::Compat(compat) => compat.run(),
        Task::Finetune(finetune) => finetune.run(),
        Task::Kills(kills) => kills.run(),
        Task::Mutate(mutate) => mutate.run(),
        Task::DeviceCheck(check) => check.run(),
        Task::Tidy { root } => tidy::run(&root),
        Task::Ci => ci::run(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_pace_belongs_to_one_of_the_measuring_modes() {
        let takes = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        assert!(
            takes("x bench --peer --runs 3 image-1") && takes("x bench --growth --threads 1 image/birds")
        );
        assert!(takes("x bench sdm --baseline before -- B4$"));
        assert!(!takes("x bench --runs 3") && !takes("x bench --peer --growth"));
        assert!(!takes("x bench --growth --baseline before") && !takes("x bench --growth --python python3"));
    }

    #[test]
    fn options_and_help_of_drgan_pass_through() {
        let line = ["cargo xtask", "train", "--preset", "tiny", "--help", "--set", "a.b=-1"];
        match Cli::try_parse_from(line).map(|c| c.task) {
            Ok(Task::Train(rest)) => assert_eq!(rest.args, line[2..]),
            _ => panic!("train takes any arguments"),
        }
    }
}
