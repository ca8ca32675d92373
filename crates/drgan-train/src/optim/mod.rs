//! Optimizers: what changes a network's parameters by their gradients, and the average that follows them.
//!
//! A new one is a file here that implements [`Optimizer`], a kind in [`OptimizerKind`], and its line in `optimizer`.
mod adam;
mod ema;
mod gradients;
mod optimizer;

pub use ema::Ema;
pub use gradients::Gradients;
pub use optimizer::{Optimizer, OptimizerConfig, OptimizerKind};

use crate::error::Result;
use adam::Adam;
use drgan_tensor::ParamStore;

/// An optimizer of exactly the store's parameters, never of its buffers.
///
/// # Errors
/// A hyperparameter out of range; a parameter of a type that cannot be optimized.
pub(crate) fn optimizer(store: &ParamStore, cfg: OptimizerConfig) -> Result<Box<dyn Optimizer>> {
    Ok(match cfg.kind {
        OptimizerKind::Adam => Box::new(Adam::new(store, cfg)?),
    })
}
