//! The numbers and the tensors of one optimizer step.
use candle_core::{Tensor, Var};

/// What all parameters share in one step of [`adam_update`](crate::adam_update).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct AdamStep {
    /// Decay rates of the first and second moment, b1 and b2.
    pub betas: (f64, f64),
    /// Learning rate over `1 - b1^t`, the first moment's bias correction.
    pub rate: f64,
    /// `sqrt(1 - b2^t)`, the second moment's bias correction.
    pub root: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// What gradients are multiplied by first.
    pub scale: f64,
}

impl AdamStep {
    /// Step `t`, counted from 1, with learning rate `lr`; gradients are taken as they are.
    pub fn new(t: u64, lr: f64, betas: (f64, f64), eps: f64) -> Self {
        let t = t as f64;
        let (rate, root) = (lr / (1. - betas.0.powf(t)), (1. - betas.1.powf(t)).sqrt());
        Self { betas, rate, root, eps, scale: 1. }
    }

    /// The same with all gradients multiplied by `scale`, as clipping does.
    #[must_use]
    pub fn with_scale(self, scale: f64) -> Self {
        Self { scale, ..self }
    }
}

/// A parameter with its gradient and its moments, see [`adam_update`](crate::adam_update).
#[derive(Clone, Copy, Debug)]
pub struct AdamUpdate<'a> {
    /// The parameter, which is changed.
    pub parameter: &'a Var,
    /// The parameter's gradient.
    pub gradient: &'a Tensor,
    /// The first moment, which is changed.
    pub m: &'a Var,
    /// The second moment, which is changed.
    pub v: &'a Var,
}
