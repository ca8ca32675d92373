//! Runs the `drgan` binary as a user would.
use assert_cmd::Command;
use std::path::Path;

/// The binary.
pub(crate) fn drgan() -> Command {
    Command::cargo_bin("drgan").expect("the drgan binary is built with its tests")
}

/// `drgan train --preset tiny --out OUT ...`: seconds.
pub(crate) fn train_tiny(out: &Path, more: &[&str]) -> Command {
    let mut command = drgan();
    command.args(["train", "--preset", "tiny", "--no-evaluate", "--out"]).arg(out).args(more);
    command
}

/// What it wrote to stderr, having failed.
pub(crate) fn failure(command: &mut Command) -> String {
    let output = command.assert().failure().get_output().clone();
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// What it wrote to stdout and stderr, having succeeded.
pub(crate) fn success(command: &mut Command) -> (String, String) {
    let output = command.assert().success().get_output().clone();
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr))
}
