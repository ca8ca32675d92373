#![doc = include_str!("../README.md")]
pub mod cli;
mod commands;
mod hints;
mod naming;
mod numbers;
mod report;
mod signals;
mod sinks;

pub use commands::run;
