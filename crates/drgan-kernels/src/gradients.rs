//! The gradients of a loss, without an addition for the first gradient of a variable.
use crate::dispatch::on_cuda;
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, TensorId};
use std::cell::RefCell;
use std::collections::HashMap;

/// A variable and the sum of the gradients that nodes have given it.
type Found = HashMap<TensorId, (Tensor, Tensor)>;

thread_local! {
    /// What the calls of [`backward`] that this thread is in have found, the innermost last. candle has no argument that would
    /// take this to a node.
    static PASSES: RefCell<Vec<Found>> = const { RefCell::new(Vec::new()) };
}

/// The gradients of `loss` for every variable that it depends on, as candle's [`Tensor::backward`] gives them, which adds
/// each gradient to zeros first. On a CUDA device the first gradient that an operation of this crate gives a variable is taken
/// as it is: one launch less for each parameter. On the CPU the results have the same bits as candle's.
///
/// # Shapes
/// `loss`: any; what is differentiated is the sum of its values.
///
/// # Errors
/// An operation that has no gradient; what the device reports.
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    PASSES.with_borrow_mut(|passes| passes.push(Found::new()));
    let by_candle = loss.backward();
    // Also after an error, so that the next call does not find this one's.
    let found = PASSES.with_borrow_mut(Vec::pop).unwrap_or_default();
    let mut all = by_candle?;
    for (variable, gradient) in found.into_values() {
        let sum = match all.remove(&variable) {
            Some(of_others) => (of_others + gradient)?,
            None => gradient,
        };
        all.insert(&variable, sum);
    }
    Ok(all)
}

/// What candle is to add to the gradient of a node's input: nothing if the input is a variable whose gradient [`backward`]
/// keeps.
pub(crate) fn for_candle(input: &Tensor, gradient: Option<Tensor>) -> Result<Option<Tensor>> {
    let gradient = match gradient {
        Some(gradient) if input.is_variable() && on_cuda(input) => gradient,
        other => return Ok(other),
    };
    PASSES.with_borrow_mut(|passes| {
        let Some(found) = passes.last_mut() else { return Ok(Some(gradient)) };
        let sum = match found.remove(&input.id()) {
            Some((_, before)) => (before + gradient)?,
            None => gradient.contiguous()?,
        };
        found.insert(input.id(), (input.clone(), sum));
        Ok(None)
    })
}
