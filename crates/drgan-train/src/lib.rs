//! Trains, samples and evaluates DR-GAN; the drgan binary.
pub mod adam;
pub mod checkpoint;
pub mod data;
pub mod ema;
pub mod events;
pub mod grid;
pub mod interrupt;
pub mod run_dir;
pub mod sinks;

pub use adam::{Adam, AdamConfig};
pub use checkpoint::Checkpoint;
pub use ema::Ema;
pub use interrupt::Interrupt;
pub use run_dir::RunDir;
