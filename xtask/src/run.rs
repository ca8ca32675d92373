//! Building and becoming other programs.
//!
//! Training, tests and benchmarks share one build of candle only if cargo chooses the same features for shared dependencies
//! each time. It chooses them for the packages that are selected, and counts development dependencies only if a test, an
//! example or a benchmark is asked for: therefore always `--workspace --release`, and always with such a target.
use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The top of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The cargo that started us, at the top of the workspace.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.current_dir(root());
    // Cargo sets these for xtask; the packages that it is started for are others.
    for (name, _) in std::env::vars_os() {
        let of_xtask = name.to_str().is_some_and(|n| n.starts_with("CARGO_PKG_"));
        if of_xtask || name == "CARGO_MANIFEST_DIR" || name == "CARGO_MANIFEST_PATH" {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// An example of drgan-losses, asked for with every binary: it needs nothing that the program does not need too, and with an
/// example cargo counts development dependencies, as it does for tests. Without it candle would be built once for the
/// program and once more for the tests.
const EXAMPLE: &str = "align";

/// Builds the binary `name`, and of the workspace only what it needs; returns its path. cargo shows its progress.
pub(crate) fn build(name: &str) -> Result<PathBuf> {
    build_with(name, &[])
}

/// [`build`] with some features of the binary's package, which has its name.
fn build_with(name: &str, features: &[String]) -> Result<PathBuf> {
    if !target().join("release").join(name).exists() {
        drgan_terminal::remark(format!(
            "building {name} and what it needs: about 5 minutes the first time on two cores, seconds after a change"
        ));
    }
    let of_binary: Vec<String> = features.iter().map(|feature| format!("{name}/{feature}")).collect();
    binary(&mut build_command(name, &of_binary), name)
}

/// The `cargo build` of the binary `name` with features, each as `PACKAGE/FEATURE`.
pub(crate) fn build_command(name: &str, features: &[impl AsRef<str>]) -> Command {
    let mut build = cargo();
    build.args(["build", "--workspace", "--release", "--bin", name, "--example", EXAMPLE]);
    if !features.is_empty() {
        let names: Vec<&str> = features.iter().map(AsRef::as_ref).collect();
        build.arg("--features").arg(names.join(","));
    }
    build
}

/// Runs a `cargo build` and finds the binary `name` among what it made.
pub(crate) fn binary(build: &mut Command, name: &str) -> Result<PathBuf> {
    build.arg("--message-format=json-render-diagnostics");
    let built = build.stderr(Stdio::inherit()).output().context("could not start cargo")?;
    if !built.status.success() {
        bail!("the build failed: see the compiler's messages above")
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    executable(&messages, name).with_context(|| format!("the build made no binary named `{name}`"))
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target")))
}

/// The path of the binary `name` in cargo's JSON messages.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|m| {
        (m["target"]["name"] == name).then(|| m["executable"].as_str().map(PathBuf::from)).flatten()
    })
}

/// The features that `--features A,B` asks for, as cargo takes it, and the arguments without it.
fn split_features(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<(Vec<String>, Vec<OsString>)> {
    let (mut features, mut rest, mut args) = (vec![], vec![], args.into_iter());
    while let Some(arg) = args.next() {
        let arg = arg.as_ref();
        let list = match arg.to_str().and_then(|arg| arg.strip_prefix("--features")) {
            Some("") => {
                let next = args.next().map(|list| list.as_ref().to_string_lossy().into_owned());
                next.context("--features: names the features to build with, e.g. `cuda`")?
            }
            Some(list) if list.starts_with('=') => list[1..].to_owned(),
            _ => {
                rest.push(arg.to_owned());
                continue;
            }
        };
        features.extend(list.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    Ok((features, rest))
}

/// Builds `drgan`, with `--features` of the arguments if there, and becomes `drgan ARGS`, in the caller's directory.
pub(crate) fn drgan(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<ExitCode> {
    let (features, args) = split_features(args)?;
    let mut drgan = Command::new(build_with("drgan", &features)?);
    // The commands that it shows begin with what the user typed.
    drgan.args(args).env("DRGAN_INVOKED_AS", "cargo xtask");
    become_it(drgan)
}

/// Builds `drgan-parity` and becomes it, in the caller's directory.
pub(crate) fn parity(args: &[String]) -> Result<ExitCode> {
    let (features, args) = split_features(args)?;
    let mut parity = Command::new(build_with("drgan-parity", &features)?);
    parity.args(args);
    become_it(parity)
}

/// Replaces this process, so that signals, terminal and exit status are the command's own: Ctrl-C reaches a training
/// run that writes its checkpoint before it ends, with nobody in between to end first.
#[cfg(unix)]
pub(crate) fn become_it(mut command: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec()).with_context(|| format!("could not start {}", command.get_program().display()))
}

/// Runs the command and passes on its exit status.
#[cfg(not(unix))]
pub(crate) fn become_it(mut command: Command) -> Result<ExitCode> {
    let status =
        command.status().with_context(|| format!("could not start {}", command.get_program().display()))?;
    Ok(ExitCode::from(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"xtask"},"executable":"/t/xtask"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"drgan"},"executable":"/t/drgan"}"#,
            "\nnot json\n",
        );
        assert_eq!(executable(messages, "drgan"), Some(PathBuf::from("/t/drgan")));
        assert_eq!(executable(messages, "other"), None);
    }

    #[test]
    fn features_are_cargos_and_the_rest_is_the_programs() {
        let split = |line: &str| {
            let split = split_features(line.split(' '));
            split.map(|(features, rest)| (features.join("+"), rest.join(OsStr::new(" "))))
        };
        let (features, rest) = split("--features cuda --preset tiny --features=a,b --features-of x").unwrap();
        assert_eq!((features.as_str(), rest.to_str()), ("cuda+a+b", Some("--preset tiny --features-of x")));
        assert!(split("--preset tiny --features").unwrap_err().to_string().contains("e.g. `cuda`"));
    }

    #[test]
    fn the_example_that_is_built_along_is_there() {
        let path = root().join("crates/drgan-losses/examples").join(EXAMPLE).with_extension("rs");
        assert!(path.is_file(), "{} is gone: name another small example", path.display());
    }
}
