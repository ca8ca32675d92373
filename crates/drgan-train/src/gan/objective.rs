//! What the networks are trained towards: the weights of all losses, and lists of them that become one number.
use super::finite::Reports;
use crate::config::LossConfig;
use crate::error::TrainError;
use candle_core::Tensor;
use drgan_losses::damsm::Gammas;
use drgan_tensor::ImageEncoder;

/// What the losses need beside the networks' outputs; nothing of it changes during training.
#[derive(Clone, Copy)]
pub struct Objective<'a> {
    /// Image encoder of the DAMSM, whose weights are constants.
    pub image_encoder: &'a (dyn ImageEncoder + Send + Sync),
    /// Sharpness of the DAMSM's attention and matching.
    pub gammas: Gammas,
    /// Weight of each loss.
    pub weights: &'a LossConfig,
}

impl std::fmt::Debug for Objective<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Objective");
        out.field("gammas", &self.gammas).field("weights", &self.weights).finish_non_exhaustive()
    }
}

/// A list of losses that are minimized together: their weighted sum is differentiated, their values are reported.
#[derive(Default)]
pub(super) struct Terms(Vec<Term>);

struct Term {
    name: String,
    weight: f64,
    loss: Tensor,
}

impl Terms {
    /// The terms of an objective with one loss.
    pub(super) fn one(name: impl Into<String>, weight: f64, loss: Tensor) -> Self {
        Self::default().with(name, weight, loss)
    }

    /// Adds a loss, a scalar. Losses of one name that follow each other are reported as their sum.
    pub(super) fn with(mut self, name: impl Into<String>, weight: f64, loss: Tensor) -> Self {
        self.push(name, weight, loss);
        self
    }

    /// [`Terms::with`] in place.
    pub(super) fn push(&mut self, name: impl Into<String>, weight: f64, loss: Tensor) {
        self.0.push(Term { name: name.into(), weight, loss });
    }

    /// Reports the losses, without their weights.
    pub(super) fn report(&self, to: &mut Reports) {
        for (i, term) in self.0.iter().enumerate() {
            match i.checked_sub(1).map(|before| &self.0[before]) {
                Some(before) if before.name == term.name => to.part(&term.name, term.loss.clone()),
                _ => to.loss(&term.name, term.loss.clone()),
            }
        }
    }

    /// `sum_i weight_i loss_i`, added to `to` in the order of the list.
    ///
    /// # Errors
    /// Losses of different types or devices.
    pub(super) fn add_to(self, to: Option<Tensor>) -> Result<Option<Tensor>, TrainError> {
        let mut sum = to;
        for Term { weight, loss, .. } in self.0 {
            let weighted = if weight == 1. { loss } else { (loss * weight)? };
            sum = Some(match sum {
                Some(sum) => (sum + weighted)?,
                None => weighted,
            });
        }
        Ok(sum)
    }
}
