//! What each command of `drgan` does, from its arguments to what it prints.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the commands' results are printed here and nowhere else"
)]
mod common;
mod data;
mod evaluate;
mod import;
mod inspect;
mod prepare;
mod pretrain;
mod sample;
mod train;

use crate::cli::{Cli, Command};
use crate::hints;
use std::process::ExitCode;

/// Does what the command line says; an error is printed with what to do about it.
pub fn run(cli: &Cli) -> ExitCode {
    let done = match &cli.command {
        Command::Train(args) => train::run(args),
        Command::Pretrain(args) => pretrain::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Data(command) => data::run(command),
        Command::Inspect(args) => inspect::run(args),
        Command::Import(args) => import::run(args),
    };
    let Err(e) = done else { return ExitCode::SUCCESS };
    eprintln!("error: {}", in_one_line(&e));
    if let Some(hint) = hints::for_error(&e, &hints::program()) {
        eprintln!("  {hint}");
    }
    ExitCode::FAILURE
}

/// The error and its causes in one line; a cause that the message before it quotes is not said again.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !line.contains(&cause) {
            line = if line.is_empty() { cause } else { format!("{line}: {cause}") };
        }
    }
    line
}
