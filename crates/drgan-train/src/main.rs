//! The `drgan` binary: parses the command line, wires events to the terminal, prints what a command found.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program prints")]
use clap::Parser;
use drgan_train::cli::{Cli, Command};
use drgan_train::commands;

/// Training allocates and frees maps of several MiB thousands of times a second; the system's allocator would give
/// each back to the kernel and fault it in again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    drgan_tensor::ops::keep_candle_on_one_thread();
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Train(args) => commands::train(args),
        Command::Pretrain(args) => commands::pretrain(args),
        Command::Sample(args) => commands::sample(args),
        Command::Evaluate(args) => commands::evaluate(args),
        Command::Data(command) => commands::data(command),
        Command::Inspect(args) => commands::inspect(args),
        Command::Import(args) => commands::import(args),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
