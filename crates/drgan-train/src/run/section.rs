//! Sections of a checkpoint: the names under which tensors and numbers lie in the file, and the trait of those who own them.
//!
//! | section | tensors |
//! |---|---|
//! | `text`, `image` | the encoders' trained weights |
//! | `g`, `rip`, `d0`, `d1`, ... | generator, real image path, discriminators coarse to fine |
//! | `g_avg` | the generator's exponential moving average |
//! | `adam_` and a network's name | its optimizer's state |
//!
//! The metadata has the position of a network's random stream under `random.` and its name, and the probability of an augmentation
//! that adapts under `augment.` and the discriminator's.
use super::checkpoint::Checkpoint;
use crate::error::TrainError;

/// Saves what it owns into a checkpoint, and takes it back from one.
pub trait Checkpointed {
    /// Puts everything that a resumed run needs into its sections.
    ///
    /// # Errors
    /// Whatever the device reports.
    fn save(&self, to: &mut Checkpoint) -> Result<(), TrainError>;

    /// The reverse of [`Checkpointed::save`].
    ///
    /// # Errors
    /// The checkpoint is of another network.
    fn restore(&mut self, from: &Checkpoint) -> Result<(), TrainError>;
}

/// Section of the text encoder.
pub(crate) const TEXT: &str = "text";
/// Section of the image encoder's projection.
pub(crate) const IMAGE: &str = "image";
/// Section of the generator.
pub(crate) const GENERATOR: &str = "g";
/// Section of the generator's exponential moving average.
pub(crate) const AVERAGE: &str = "g_avg";
/// Section of the real image path.
pub(crate) const REAL_IMAGE: &str = "rip";

/// Sections that drawing and measuring need; the others are for training.
pub(crate) const SAMPLED: [&str; 3] = [TEXT, IMAGE, AVERAGE];

/// Section of a stage's discriminator.
pub(crate) fn discriminator(stage: usize) -> String {
    format!("d{stage}")
}

/// The optimizer of the network whose section is `network`. The name is of the time when there was only Adam.
pub(crate) fn optimizer(network: &str) -> String {
    format!("adam_{network}")
}

/// The metadata key of a network's random stream.
pub(crate) fn random(network: &str) -> String {
    format!("random.{network}")
}

/// The metadata key of the probability with which a discriminator's images are augmented next, where it adapts.
pub(crate) fn augmentation(network: &str) -> String {
    format!("augment.{network}")
}
