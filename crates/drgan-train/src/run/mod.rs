//! What a run keeps on disk: its folder, its checkpoints, its log, and who writes what into them.
mod checkpoint;
mod checkpoints;
mod dir;
mod fingerprint;
mod history;
mod lock;
mod lock_file;
pub(crate) mod log;
pub(crate) mod section;
#[cfg(test)]
mod testing;

pub use checkpoint::{Checkpoint, diff_config};
pub(crate) use checkpoints::Pruner;
pub use checkpoints::{Warning, list};
pub use dir::RunDir;
pub(crate) use fingerprint::Fingerprint;
pub use history::History;
pub use lock::LockedRun;
pub use lock_file::LockedFolder;
pub use section::Checkpointed;
