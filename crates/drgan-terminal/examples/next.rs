//! Shows a command to type with the first argument in it, quoted; ends quietly where its reader is gone.
//!
//! `cargo run --release --example next -- 'my $HOME' | head -0`
use drgan_terminal::{CommandLine, failed, result};
use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| "my runs/a".into());
    match result(CommandLine::new("drgan", "train").option("--resume", folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failed(&e.into(), |_| true, None),
    }
}
