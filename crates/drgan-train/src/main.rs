//! The `drgan` binary: parses the command line, wires events to the terminal, prints what a command found.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program prints")]
use clap::Parser;
use drgan_tensor::ops::CachingAllocator;
use drgan_train::cli::{Cli, Command};
use drgan_train::commands;
use mimalloc::MiMalloc;

/// Training allocates and frees maps of many MiB all the time; other allocators give each back to the system and have it
/// cleared again.
#[global_allocator]
static ALLOCATOR: CachingAllocator<MiMalloc> = CachingAllocator::new(MiMalloc);

fn main() -> std::process::ExitCode {
    drgan_tensor::ops::limit_candle_threads();
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
            eprintln!("error: {}", told(&e));
            std::process::ExitCode::FAILURE
        }
    }
}

/// The error and its causes in one line; a cause that the message before it quotes is not said again.
fn told(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !line.contains(&cause) {
            line = if line.is_empty() { cause } else { format!("{line}: {cause}") };
        }
    }
    line
}
