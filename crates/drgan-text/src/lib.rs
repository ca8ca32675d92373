#![doc = include_str!("../README.md")]
mod conv_bn;
mod efficientnet;
mod image_encoder;
mod inception;
mod lstm;
mod text_encoder;
mod tokenizer;
mod vocab;

pub use efficientnet::EfficientNetLite0;
pub use image_encoder::{
    Backbone, BackboneFeatures, BackboneKind, DamsmImageEncoder, ImageEncoderConfig, Projection,
    backbone_weights_from_bytes, load_backbone_weights,
};
pub use inception::InceptionV3;
pub use lstm::{BiLstm, BiLstmOutput};
pub use text_encoder::{BiLstmEncoder, TextEncoderConfig};
pub use tokenizer::{Encoded, Report, Tokenizer};
pub use vocab::{END, Vocabulary};

/// An error that is neither a shape nor a configuration value, as a message.
fn fail(message: String) -> drgan_tensor::Error {
    drgan_tensor::Error::Input(message)
}
