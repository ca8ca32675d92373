//! Generator of DR-GAN with its Semantic Disentangling Module.
//!
//! [`StageGenerator`] turns noise and a caption into pictures of growing size; every stage after the first attends to
//! the words ([`WordAttention`]), divides image and text features into key and non-key parts ([`Disentangle`]) and
//! doubles the side. [`RealImagePath`] is the other, separate half of training: real pictures to features. No
//! generator sees a real image, and nothing here computes a loss.
mod attention;
mod condition;
mod config;
mod disentangle;
mod generator;
mod image_head;
mod infer;
mod real_image;
mod stage;

pub use attention::WordAttention;
pub use condition::init_condition;
pub use config::{ConditionInit, GeneratorConfig, RealImageConfig};
pub use disentangle::{Disentangle, MaskConfig};
pub use generator::StageGenerator;
pub use image_head::ImageHead;
pub use real_image::RealImagePath;
pub use stage::{FirstStage, NextFeatures, NextStage};

/// Of the leaky rectifiers.
const SLOPE: f64 = 0.2;
