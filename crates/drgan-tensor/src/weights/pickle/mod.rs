//! Python pickles, read without running anything of them.
//!
//! [`machine`] builds values from a pickle's operations; a function or object that a pickle names is looked up in a
//! [`Globals`](machine::Globals), which knows a few by name and refuses all others. PyTorch's checkpoints know tensors and
//! storages; [`plain`] knows none, for data that are lists, dictionaries, numbers and text.
pub(crate) mod machine;
mod numpy;
mod plain;
pub(crate) mod reader;
pub(crate) mod value;

pub use plain::Plain;
