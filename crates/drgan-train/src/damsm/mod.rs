//! Deep Attentional Multimodal Similarity Model: the training of the text encoder and the image projection, which learn to
//! tell which caption belongs to which image. The image backbone is frozen.
pub(crate) mod descriptions;
mod features;
mod held_out;
mod images;
mod trainer;

pub(crate) use held_out::HeldOut;
pub(crate) use images::load_images;
pub(crate) use trainer::DamsmTrainer;
