//! Objectives of DR-GAN as plain functions of tensors: no parameters, no networks, f32 and f64.
//!
//! One family a module. Every loss is a scalar; which arguments are constants of it is said there.
pub mod adversarial;
pub mod damsm;
mod kl;
mod math;
mod reconstruction;
pub mod sdl;

pub use kl::kl;
pub use reconstruction::{dal, dnm, reconstruction};
