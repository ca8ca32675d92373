#![doc = include_str!("../README.md")]
pub mod image;
pub mod text;

pub use image::{
    Backbone, BackboneFeatures, BackboneKind, DamsmImageEncoder, EfficientNetLite0, ImageEncoderConfig,
    InceptionV3, Projection, backbone_weights_from_bytes, load_backbone_weights,
};
pub use text::{
    AlteredWord, BiLstm, BiLstmEncoder, BiLstmOutput, DroppedWords, TextEncoderConfig, TextEncoderKind,
    Tokenize, TokenizedCaption, Tokenizer, Vocabulary, WordRule,
};
