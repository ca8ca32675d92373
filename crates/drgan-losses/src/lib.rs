#![doc = include_str!("../README.md")]
pub mod adversarial;
pub mod dal;
pub mod damsm;
pub mod dnm;
pub mod kl;
pub mod reconstruction;
pub mod sdl;

pub use adversarial::{Logits, discriminator_loss, generator_loss};
pub use dal::dal;
pub use damsm::damsm;
pub use dnm::{Reconstruction, dnm};
pub use kl::kl;
pub use reconstruction::reconstruction;
pub use sdl::{DisentangledFeatures, sdl};
