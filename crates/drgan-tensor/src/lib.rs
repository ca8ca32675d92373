//! Shared tensor vocabulary of DR-GAN.
//!
//! Everything two model crates must agree on lives here, and nothing else: the *roles* a model
//! plays ([`Generator`], [`Discriminator`], ...), the values they exchange ([`TextFeatures`],
//! [`StageOutput`], ...), where parameters come from ([`ParamStore`], [`init`]), the layers they share ([`nn`]),
//! the differentiable operations candle lacks ([`ops`]) and weight files ([`weights`]).
mod blueprint;
mod ctx;
mod error;
mod form;
mod params;
mod roles;
mod values;

pub mod init;
pub mod nn;
pub mod pickle;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod weights;

/// Differentiable operations candle lacks: [`drgan_kernels`] under the name the model crates use.
pub use drgan_kernels as ops;

pub use blueprint::{Shapes, blueprint};
pub use ctx::{Ctx, Mode};
pub use error::{Error, Result, expect_shape};
pub use form::Form;
pub use params::{Kind, ParamStore, fnv1a};
pub use roles::{Discriminator, FromConfig, Generator, ImageEncoder, TextEncoder};
pub use values::{
    DiscriminatorOutput, Disentangled, Division, Gaussian, GeneratorOutput, ImageFeatures, StageOutput,
    TextFeatures, TokenBatch,
};

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
