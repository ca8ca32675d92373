//! What training says while it goes on, and where that goes; nothing here prints.
mod event;
mod jsonl;
mod meter;

pub use event::{Event, Sink, Sinks, format_duration};
pub use jsonl::Jsonl;
pub use meter::Meter;
