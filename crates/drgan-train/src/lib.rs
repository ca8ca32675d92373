//! Trains and evaluates DR-GAN.
pub mod config;
pub mod damsm;
mod error;
pub mod evaluate;
pub mod events;
pub mod gan;
pub mod import;
pub mod optim;
pub mod own_files;
pub mod run;
pub mod session;
mod start;

pub use error::TrainError;
pub use run::{Checkpoint, LockedRun, RunDir};
pub use session::{Interrupt, Session, TrainedRun};
pub use start::{PRETRAINED, open_model, starting_model};

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
