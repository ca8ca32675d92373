//! Prints the settings that a command line of `drgan train` stands for.
//!
//! `cargo run --release --example settings -- --preset tiny --set text.words_dim=128`
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use clap::Parser;
use drgan::cli::{Cli, Command};
use drgan_train::config::{Overrides, RunConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words = ["drgan", "train"].map(str::to_owned).into_iter().chain(std::env::args().skip(1));
    let Command::Train(args) = Cli::parse_from(words).command else { return Ok(()) };
    let over = Overrides { file: args.run.config.as_deref(), set: &args.run.set };
    print!("{}", RunConfig::resolve(&args.run.preset, &over)?.to_toml()?);
    Ok(())
}
