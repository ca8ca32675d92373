//! Shared tensor vocabulary of DR-GAN.
//!
//! What the model crates have in common:
//!
//! - [`roles`](Generator): what a network is used as ([`Generator`], [`Discriminator`], [`TextEncoder`],
//!   [`ImageEncoder`]), and how it is built ([`FromConfig`]);
//! - the values that networks exchange ([`TextFeatures`], [`GeneratorOutput`], ...) and how a pass is made ([`Ctx`]);
//! - named parameters of one network ([`ParamStore`]) and their initial values ([`init`]);
//! - layers with PyTorch's parameter names ([`nn`]) and differentiable operations ([`ops`]);
//! - whole files ([`file`](mod@file)) and weight files ([`weights`]): safetensors, and PyTorch's checkpoints with the feature `torch`.
//!
//! [`prelude`] brings what most modules need into scope.
mod ctx;
mod error;
mod params;
mod roles;
mod text;
mod values;
mod variant;

pub mod device;
pub mod file;
pub mod internal;
pub mod nn;
pub mod prelude;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod weights;

/// Differentiable operations on tensors: all of [`drgan_kernels`], under the name that the model crates use.
///
/// An operation here is used where candle has none, where candle's has no gradient or a wrong one, or where one pass over
/// memory replaces several. Everything else (sums, products, reshapes) is candle's own.
pub use drgan_kernels as ops;

/// The version of candle whose tensors this crate's functions take: depend on it through here and the versions agree.
pub use candle_core;
/// Initial values of a new tensor, for [`Hint`].
pub use candle_nn::Init;

pub use ctx::{Ctx, Mode};
pub use error::{Cause, Error, Result, expect_shape};
pub use params::{
    Hint, ParamKind, ParamStore, Shapes, TensorSource, VarBuilder, builder_over, init, parameter_shapes,
};
pub use roles::{Discriminator, FromConfig, Generator, ImageEncoder, TextEncoder};
pub use values::{
    DiscriminatorOutput, Disentangled, Gaussian, GeneratorOutput, ImageFeatures, MaskedSplit, StageOutput,
    TextFeatures, TokenBatch,
};
pub use variant::Variant;

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
