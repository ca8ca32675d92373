//! Images to features: frozen backbones and the DAMSM's image encoder over them.
mod backbone;
mod conv_bn;
mod efficientnet;
mod encoder;
mod inception;
mod projection;

pub use backbone::{
    Backbone, BackboneFeatures, BackboneKind, backbone_weights_from_bytes, load_backbone_weights,
};
pub use efficientnet::EfficientNetLite0;
pub use encoder::{DamsmImageEncoder, ImageEncoderConfig};
pub use inception::InceptionV3;
pub use projection::Projection;
