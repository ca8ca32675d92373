//! Trains, samples and evaluates DR-GAN.
pub mod adam;
pub mod captions;
pub mod checkpoint;
pub mod config;
pub mod ema;
pub mod encoders;
pub mod error;
pub mod estimate;
pub mod evaluate;
pub mod events;
pub mod import;
pub mod interrupt;
pub mod networks;
pub mod pretrain;
pub mod progress;
pub mod run_dir;
pub mod sinks;
pub mod state;
pub mod step;
pub mod train;
pub mod trained;

pub use adam::{Adam, AdamConfig};
pub use checkpoint::Checkpoint;
pub use ema::Ema;
pub use error::TrainError;
pub use interrupt::Interrupt;
pub use run_dir::RunDir;

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
