//! What a run keeps on disk: its folder, its checkpoints, and who writes what into them.
mod checkpoint;
mod dir;
mod history;
pub(crate) mod section;

pub(crate) use checkpoint::prune;
pub use checkpoint::{Checkpoint, Warning, diff_config, list};
pub use dir::RunDir;
pub use history::History;
pub use section::Checkpointed;
