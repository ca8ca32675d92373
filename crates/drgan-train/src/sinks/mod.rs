//! Where events go.
mod console;
mod jsonl;

pub use console::Console;
pub use jsonl::Jsonl;
