//! Weight files.
pub mod safetensors;
