//! Prints what a data set holds: its parts and a few captions.
//!
//! `cargo run --release --example inspect [PATH]`, of the embedded set without a path.
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use drgan_data::{Dataset, Split};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = match std::env::args_os().nth(1) {
        Some(path) => Dataset::open(Path::new(&path))?,
        None => Dataset::embedded()?,
    };
    let part = |split| data.split(split).len();
    println!("{}: {} to train on, {} held out", data.path(), part(Split::Train), part(Split::HeldOut));
    for record in data.records().iter().step_by(data.records().len().div_ceil(5)) {
        println!("  {:<24} {}", record.key, record.captions.join(" | "));
    }
    Ok(())
}
