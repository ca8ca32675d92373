//! Deep Attentional Multimodal Similarity Model: the text and image encoders, and their training, in which the text encoder
//! and the image projection learn to tell which caption belongs to which image. The image backbone is frozen.
pub(crate) mod descriptions;
mod encoders;
mod features;
mod held_out;
mod images;
mod survey;
mod trainer;

pub use encoders::Encoders;
pub(crate) use held_out::HeldOut;
pub(crate) use images::load_images;
pub use survey::{CaptionSurvey, Loss};
pub(crate) use trainer::{DamsmTrainer, epochs_done};
