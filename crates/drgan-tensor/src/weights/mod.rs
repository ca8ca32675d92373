//! Weight files.
pub mod safetensors;
pub mod torch;

pub use safetensors::{Metadata, Tensors};
