//! What every optimizer does, and the settings that choose one.
use super::gradients::Gradients;
use crate::error::Result;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Changes one network's parameters by their gradients, and can save what it keeps between updates.
pub trait Optimizer: std::fmt::Debug + Send + Sync {
    /// One update with the learning rate times `lr_scale`. Parameters without a gradient are left alone.
    ///
    /// # Errors
    /// Gradients of another network, or whose type is not their parameter's.
    fn apply(&mut self, gradients: &Gradients, lr_scale: f64) -> Result<()>;

    /// All tensors that a resumed run needs, by name, on the host: a copy, which later updates leave alone.
    ///
    /// # Errors
    /// Whatever the device reports.
    fn state(&self) -> Result<BTreeMap<String, Tensor>>;

    /// The reverse of [`Optimizer::state`].
    ///
    /// # Errors
    /// The names that are missing, left over or of another shape; nothing is changed then.
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()>;
}

/// Which optimizer changes a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba, 2015).
    #[default]
    Adam,
}

/// An optimizer's kind and hyperparameters; the defaults are the paper's (section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Which optimizer is used.
    pub kind: OptimizerKind,
    /// Learning rate, above 0.
    pub lr: f64,
    /// Decay of the first and second moment, each in `[0, 1)`.
    pub betas: (f64, f64),
    /// Added to the root of the second moment, at least 0.
    pub eps: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { kind: OptimizerKind::Adam, lr: 2e-4, betas: (0.5, 0.999), eps: 1e-8 }
    }
}

impl OptimizerConfig {
    /// The first hyperparameter that is out of range, and what it must be.
    pub(crate) fn out_of_range(&self) -> Option<(&'static str, &'static str)> {
        let lies_in_unit = |beta: &f64| (0. ..1.).contains(beta);
        if !(self.lr > 0. && self.lr.is_finite()) {
            return Some(("lr", "must be a finite number above 0"));
        }
        if ![self.betas.0, self.betas.1].iter().all(lies_in_unit) {
            return Some(("betas", "each must lie in [0, 1)"));
        }
        if !(self.eps >= 0. && self.eps.is_finite()) {
            return Some(("eps", "must be a finite number of at least 0"));
        }
        None
    }
}
