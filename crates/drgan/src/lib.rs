#![doc = include_str!("../README.md")]
pub mod cli;
mod commands;
mod hints;
mod interrupt;
mod report;
mod sinks;

pub use commands::run;
