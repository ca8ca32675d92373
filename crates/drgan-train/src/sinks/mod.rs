//! Where events go.
mod jsonl;

pub use jsonl::Jsonl;
