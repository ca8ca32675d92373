//! What each command of `drgan` does, from its arguments to what it prints.
mod common;
mod data;
mod evaluate;
mod export;
mod import;
mod inspect;
mod prepare;
mod pretrain;
mod sample;
mod train;

use crate::cli::{Cli, Command};
use crate::signals::Stop;
use crate::{hints, naming};
use clap::FromArgMatches;
use std::ffi::OsString;
use std::process::ExitCode;

/// Does what a command line says, its first word being the program's; an error is printed with what to do about it.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let program = naming::program();
    let matches = naming::parser(&program).try_get_matches_from(words);
    let cli = match matches.and_then(|found| Cli::from_arg_matches(&found)) {
        Ok(cli) => cli,
        Err(answer) => return drgan_terminal::refused(&answer),
    };
    match Stop::install().and_then(|stop| dispatch(&cli.command, &stop).map(|()| stop)) {
        // Whoever asked the program to stop wants nothing that depends on it either.
        Ok(stop) => stop.status().map_or(ExitCode::SUCCESS, ExitCode::from),
        Err(e) => drgan_terminal::failed(
            &e,
            hints::is_complete,
            hints::for_error(&e, &program, hints::Asked::of(&cli.command)).as_deref(),
        ),
    }
}

fn dispatch(command: &Command, stop: &Stop) -> anyhow::Result<()> {
    match command {
        Command::Train(args) => train::run(args, stop),
        Command::Pretrain(args) => pretrain::run(args, stop),
        Command::Sample(args) => sample::run(args, stop),
        Command::Evaluate(args) => evaluate::run(args, stop),
        Command::Export(args) => export::run(args, stop),
        Command::Data(command) => data::run(command, stop),
        Command::Inspect(args) => inspect::run(args),
        Command::Import(args) => import::run(args, stop),
    }
}
