//! Measures of text-to-image models: features in, a number out.
mod kernel_distance;
mod pair_distance;

pub use kernel_distance::kernel_distance;
pub use pair_distance::pair_distance;
