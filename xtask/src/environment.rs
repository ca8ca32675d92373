//! Python interpreters with what other frameworks need, in virtual environments under `target`.
use crate::run;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A virtual environment: where it is, what is installed, both relative to the top of the workspace, and how much that is.
pub(crate) struct Environment {
    pub(crate) home: &'static str,
    pub(crate) requirements: &'static str,
    pub(crate) size: &'static str,
}

/// That of PyTorch.
pub(crate) const PYTORCH: Environment =
    Environment { home: "target/peer/venv", requirements: "benches/pytorch/requirements.txt", size: "3 GB" };

/// That of ONNX Runtime.
pub(crate) const ONNX: Environment =
    Environment { home: "target/onnx/venv", requirements: "parity/python/requirements.txt", size: "150 MB" };

/// The interpreter of a virtual environment, which is made and filled on the first call.
pub(crate) fn python(environment: &Environment) -> Result<PathBuf> {
    let Environment { home, requirements, size } = environment;
    let (home, root) = (run::root().join(home), run::root());
    let wanted = std::fs::read_to_string(root.join(requirements)).context(*requirements)?;
    let (python, stamp) = (home.join("bin/python"), home.join("installed.txt"));
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    drgan_terminal::remark(format!(
        "installing {} into {} (once; about {size})",
        wanted.lines().collect::<Vec<_>>().join(", "),
        home.display()
    ));
    // What an attempt that failed has left behind does not make the next one fail.
    let venv = ["-m", "venv", "--clear"];
    let help = "install Python 3 with its venv module, or name an interpreter that has them with --python";
    succeed(Command::new("python3").args(venv).arg(&home), help)?;
    let help = "pip needs a package index; or name an interpreter that has them with --python";
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    succeed(Command::new(&python).args(pip).arg(root.join(requirements)), help)?;
    std::fs::write(&stamp, wanted).with_context(|| stamp.display().to_string())?;
    Ok(python)
}

fn succeed(command: &mut Command, help: &str) -> Result<()> {
    let name = format!("{command:?}");
    let status = command.status().with_context(|| format!("could not start {name}: {help}"))?;
    if !status.success() {
        bail!("{name} failed ({status}): {help}")
    }
    Ok(())
}

/// The version of PyTorch that `python` has.
pub(crate) fn torch(python: &Path) -> Result<String> {
    let script = "import torch, safetensors; print(torch.__version__)";
    let out = Command::new(python).args(["-c", script]).output();
    let out = out.with_context(|| format!("could not start {}", python.display()))?;
    if !out.status.success() {
        let why = String::from_utf8_lossy(&out.stderr).trim().to_owned();
        bail!("{} has no PyTorch and safetensors: {why}", python.display())
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where there is no Python nothing is checked: it is no requirement of the tests.
    #[test]
    fn the_python_side_parses() -> Result<()> {
        let script = "import ast, sys, pathlib
for f in pathlib.Path(sys.argv[1]).glob('*.py'): ast.parse(f.read_text(), str(f))";
        for (folder, program) in [("benches/pytorch", "__main__.py"), ("parity/python", "onnx_exports.py")] {
            let folder = run::root().join(folder);
            assert!(folder.join(program).is_file());
            let Ok(out) = Command::new("python3").args(["-c", script]).arg(folder).output() else {
                return Ok(());
            };
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
        Ok(())
    }

    #[test]
    fn a_failure_names_the_command_and_what_helps() {
        let e = succeed(Command::new("no-such-program").arg("x"), "do this").expect_err("no such program");
        let e = format!("{e:#}");
        assert!(e.contains("no-such-program") && e.contains("do this"), "{e}");
        let e = succeed(&mut Command::new("false"), "do that").expect_err("it fails").to_string();
        assert!(e.contains("false") && e.contains("do that"), "{e}");
    }
}
