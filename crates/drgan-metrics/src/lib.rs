#![doc = include_str!("../README.md")]
mod foreground;
mod kernel_distance;
pub mod obedience;
mod pair_distance;
mod r_precision;

pub use kernel_distance::kernel_distance;
pub use obedience::{Obedience, ObedienceScores, Reference};
pub use pair_distance::pair_distance;
pub use r_precision::{RPrecision, r_precision};
