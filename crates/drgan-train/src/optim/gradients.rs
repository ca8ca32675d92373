//! A network's gradients as one value, between the backward pass that makes them and the optimizer that applies them.
use crate::error::Result;
use candle_core::Tensor;
use candle_core::backprop::GradStore;
use drgan_tensor::ops::{backward, global_norm};
use drgan_tensor::{ParamKind, ParamStore};

/// One gradient per parameter of a network, in the order of the parameters' names; none for a parameter that the loss does
/// not reach.
#[derive(Clone, Debug)]
pub struct Gradients {
    tensors: Vec<Option<Tensor>>,
    scale: f64,
    guard: Option<Tensor>,
}

impl Gradients {
    /// The gradients of `loss`, a scalar, for the parameters of `store`; none at all without a loss.
    ///
    /// # Errors
    /// An operation that has no gradient.
    pub fn of(loss: Option<Tensor>, store: &ParamStore) -> Result<Self> {
        let [gradients] = Self::of_each(loss, [store])?;
        Ok(gradients)
    }

    /// [`Gradients::of`] for several networks by one backward pass.
    ///
    /// # Errors
    /// As [`Gradients::of`].
    pub fn of_each<const N: usize>(loss: Option<Tensor>, stores: [&ParamStore; N]) -> Result<[Self; N]> {
        let mut found = loss.map(|loss| backward(&loss)).transpose()?;
        Ok(stores.map(|store| Self::take(found.as_mut(), store)))
    }

    fn take(mut found: Option<&mut GradStore>, store: &ParamStore) -> Self {
        let mut one = |var: &Tensor| found.as_mut().and_then(|found| found.remove(var));
        let tensors = store.vars(ParamKind::Param).iter().map(|(_, var)| one(var)).collect();
        Self { tensors, scale: 1., guard: None }
    }

    /// Adds another loss's gradients of the same network.
    ///
    /// # Errors
    /// Gradients of other shapes.
    pub fn add(&mut self, more: &Self) -> Result<()> {
        for (sum, more) in self.tensors.iter_mut().zip(&more.tensors) {
            match (&mut *sum, more) {
                (Some(a), Some(b)) => *sum = Some((&*a + b)?.detach()),
                (None, Some(b)) => *sum = Some(b.clone()),
                (_, None) => {}
            }
        }
        Ok(())
    }

    /// Each parameter's gradient, before [`Gradients::scale`].
    pub fn tensors(&self) -> &[Option<Tensor>] {
        &self.tensors
    }

    /// What an optimizer multiplies every gradient by: 1 unless they were clipped.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Euclidean norm of all gradients together, before [`Gradients::scale`]; NaN or infinite when one of them is.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn norm(&self) -> Result<f64> {
        Ok(self.guarding_norm(&[])?.map_or(Ok(0.), |norm| norm.to_scalar())?)
    }

    /// The norm where the gradients are, a scalar in f64, and NaN if a number of `also` is not finite; nothing where there
    /// are no gradients.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub(crate) fn guarding_norm(&self, also: &[&Tensor]) -> Result<Option<Tensor>> {
        let found: Vec<&Tensor> = self.tensors.iter().flatten().collect();
        Ok(if found.is_empty() { None } else { Some(global_norm(&found, also)?) })
    }

    /// From now on an optimizer changes nothing if this scalar in f64, on the gradients' device, is not finite.
    pub(crate) fn guard_by(&mut self, guard: Tensor) {
        self.guard = Some(guard);
    }

    /// A scalar in f64, if there is one: where it is not finite, an optimizer changes nothing.
    pub fn guard(&self) -> Option<&Tensor> {
        self.guard.as_ref()
    }

    /// Scales all gradients by `min(1, max_norm / norm)`, and says what the norm was.
    ///
    /// # Errors
    /// As [`Gradients::norm`].
    pub fn clip(&mut self, max_norm: f64) -> Result<f64> {
        let norm = self.norm()?;
        self.scale = if norm > max_norm { max_norm / norm } else { 1. };
        Ok(norm)
    }
}
