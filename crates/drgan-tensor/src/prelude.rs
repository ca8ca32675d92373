//! What most modules that build or run a network need: `use drgan_tensor::prelude::*`.
//!
//! ```
//! use drgan_tensor::prelude::*;
//!
//! let store = ParamStore::seeded(1);
//! let layer = nn::Linear::new(3, 2, store.builder(DType::F32, &Device::Cpu))?;
//! let mut ctx = Ctx::new(Mode::Eval, 7);
//! let y = layer.forward(&ctx.randn((4, 3), DType::F32, &Device::Cpu)?)?;
//! assert_eq!(y.dims(), [4, 2]);
//! # Ok::<(), drgan_tensor::Error>(())
//! ```
pub use crate::{Ctx, Mode, ParamKind, ParamStore, Variant, init, nn, ops};
pub use crate::{Discriminator, FromConfig, Generator, ImageEncoder, TextEncoder};
pub use crate::{
    DiscriminatorOutput, Disentangled, Gaussian, GeneratorOutput, ImageFeatures, MaskedSplit, StageOutput,
    TextFeatures, TokenBatch,
};
pub use crate::{Error, Result, expect_shape};
pub use crate::{Hint, Init, VarBuilder};
pub use candle_core::{DType, Device, Tensor};
