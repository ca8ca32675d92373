//! The command line as a user meets it.
use std::process::Command;

#[test]
fn help_names_every_command_and_an_unknown_one_is_refused() {
    let xtask =
        |arg: &str| Command::new(env!("CARGO_BIN_EXE_xtask")).arg(arg).output().expect("xtask starts");
    let help = xtask("--help");
    let text = String::from_utf8_lossy(&help.stdout);
    for command in ["train", "sample", "evaluate", "data", "test", "bench", "compat", "tidy", "ci"] {
        assert!(text.contains(&format!("\n  {command} ")), "{command} is missing:\n{text}");
    }
    assert!(help.status.success() && text.contains("cargo xtask train "), "examples are shown");
    assert!(!xtask("trian").status.success());
}
