#![doc = include_str!("../README.md")]
mod foreground;
mod frechet;
mod inception_score;
mod kernel_distance;
pub mod obedience;
mod pair_distance;
mod r_precision;

pub use frechet::frechet_distance;
pub use inception_score::{InceptionScore, inception_score};
pub use kernel_distance::kernel_distance;
pub use obedience::{Obedience, ObedienceScores, Reference};
pub use pair_distance::pair_distance;
pub use r_precision::{RPrecision, r_precision};
