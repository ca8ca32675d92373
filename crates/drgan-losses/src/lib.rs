#![doc = include_str!("../README.md")]
pub mod adversarial;
pub mod damsm;
mod kl;
mod math;
mod reconstruction;
pub mod sdl;

pub use kl::kl;
pub use reconstruction::{dal, dnm, reconstruction};
