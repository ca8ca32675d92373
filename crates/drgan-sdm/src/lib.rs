//! Generator of DR-GAN with its Semantic Disentangling Module.
//!
//! [`StageGenerator`] turns noise and a caption into images of growing size. Every stage after the first
//! ([`RefineStage`]) attends to the words ([`WordAttention`]), splits image and text features into key and non-key parts
//! ([`Disentangle`]) and doubles the side. [`RealImagePath`] is needed in training only: it turns real images into features
//! that losses compare with the generator's. No generator sees a real image, and nothing here computes a loss.
mod attention;
mod condition;
mod config;
mod disentangle;
mod generator;
mod image_head;
mod real_image;
mod stage;

pub use attention::WordAttention;
pub use condition::init_condition;
pub use config::{ConditionInit, GeneratorConfig, RealImageConfig};
pub use disentangle::{Disentangle, MaskConfig};
pub use generator::{GeneratorNoise, StageGenerator};
pub use image_head::ImageHead;
pub use real_image::RealImagePath;
pub use stage::{FirstStage, RefineStage, RefinedFeatures};

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
