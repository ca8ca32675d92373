//! Building for CUDA devices: with NVIDIA's toolkit where it is installed, else with the compiler and the link shims of `.ci/cuda`.
use crate::run;
use std::process::Command;

/// The feature that makes every package of the workspace compute on CUDA devices too: the same wherever such a build is asked
/// for, so that candle is built once.
pub(crate) const FEATURE: &str = "drgan/cuda";

/// Whether NVIDIA's compiler is where all build scripts look for it: some do not read `CUDA_HOME`.
pub(crate) fn has_toolkit() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("nvcc").is_file())
}

/// The variable by which `.ci/cuda/env.sh` says where its tools are.
const TOOLS: &str = "CUDA_TOOLS";

/// The same command behind `.ci/cuda/env.sh`, unless that was sourced already. It fetches what is missing: what is linked then
/// starts without any CUDA library.
pub(crate) fn with_shims(command: Command) -> Command {
    if std::env::var_os(TOOLS).is_some() {
        return command;
    }
    let mut shell = Command::new("bash");
    shell.args(["-c", ". .ci/cuda/env.sh \"$0\" && exec \"$@\""]);
    shell.arg(run::target().join("cuda")).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(run::root());
    shell
}
