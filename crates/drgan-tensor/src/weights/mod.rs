//! Weight files.
pub(crate) mod open;
pub mod safetensors;
pub mod torch;

pub use open::{Opened, open};
pub use safetensors::{Metadata, Tensors};
