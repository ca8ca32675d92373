//! Losses as plain numbers, and the refusal of those that are NaN or infinite.
use crate::error::TrainError;
use candle_core::{DType, Tensor};
use drgan_tensor::ops;

/// A named number of a step, e.g. `("d32", 1.7)`.
pub type Scalar = (String, f32);

/// A scalar tensor's value.
pub(crate) fn scalar(t: &Tensor) -> Result<f32, TrainError> {
    Ok(t.to_dtype(DType::F32)?.to_scalar::<f32>()?)
}

/// The losses and gradient norms of a step, in the order in which they are found. On a device they stay there until all are
/// [read](Reports::read) at once: what they would stop is [guarded](crate::optim::Gradients::guard_by) without waiting.
#[derive(Debug, Default)]
pub(super) struct Reports(Vec<Report>);

#[derive(Debug)]
struct Report {
    name: String,
    value: Tensor,
    /// Whether it is one of the step's scalars; else it is only refused.
    shown: bool,
    /// Whether it is added to the scalar before it.
    added: bool,
}

impl Reports {
    /// A loss.
    pub(super) fn loss(&mut self, name: &str, value: Tensor) {
        self.0.push(Report { name: name.to_owned(), value: value.detach(), shown: true, added: false });
    }

    /// A part of the loss before it, which is reported as their sum.
    pub(super) fn part(&mut self, name: &str, value: Tensor) {
        self.0.push(Report { name: name.to_owned(), value: value.detach(), shown: true, added: true });
    }

    /// A number that has to be finite and is not shown.
    pub(super) fn norm(&mut self, name: String, value: Tensor) {
        self.0.push(Report { name, value, shown: false, added: false });
    }

    /// Adds what another branch of the step has found.
    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// The numbers, where they are.
    pub(super) fn values(&self) -> Vec<&Tensor> {
        self.0.iter().map(|report| &report.value).collect()
    }

    /// Refuses a number that is not finite, where reading it needs no waiting: on the CPU.
    ///
    /// # Errors
    /// [`TrainError::NonFinite`].
    pub(super) fn refuse_non_finite(&self) -> Result<(), TrainError> {
        if self.0.iter().any(|report| ops::in_one_queue(&report.value)) {
            return Ok(());
        }
        self.read().map(drop)
    }

    /// All losses; the device is waited for.
    ///
    /// # Errors
    /// [`TrainError::NonFinite`] with the first number that is NaN or infinite.
    pub(super) fn read(&self) -> Result<Vec<Scalar>, TrainError> {
        let (mut all, mut shown) = (Vec::<Scalar>::new(), Vec::new());
        for (report, value) in self.0.iter().zip(ops::read_scalars(&self.values())?) {
            match all.last_mut() {
                Some((_, sum)) if report.added => *sum += value as f32,
                _ => {
                    all.push((report.name.clone(), value as f32));
                    shown.push(report.shown);
                }
            }
        }
        refuse_non_finite(&all)?;
        Ok(all.into_iter().zip(shown).filter_map(|(scalar, shown)| shown.then_some(scalar)).collect())
    }
}

/// NaN or infinity if `t` holds one.
pub(crate) fn non_finite(t: &Tensor) -> Result<Option<f32>, TrainError> {
    // A sum of finite numbers of this type is finite, and any other stays.
    let sum = t.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
    Ok((!sum.is_finite()).then_some(sum as f32))
}

/// The first number that is NaN or infinite becomes an error.
pub(crate) fn refuse_non_finite(scalars: &[Scalar]) -> Result<(), TrainError> {
    match scalars.iter().find(|(_, value)| !value.is_finite()) {
        Some((loss, value)) => Err(TrainError::NonFinite { loss: loss.clone(), value: *value }),
        None => Ok(()),
    }
}

/// The first tensor that holds NaN or infinity becomes an error with its name.
pub(crate) fn refuse_non_finite_tensors<'a>(
    tensors: impl IntoIterator<Item = (&'a String, &'a Tensor)>,
) -> Result<(), TrainError> {
    for (name, tensor) in tensors {
        if let Some(value) = non_finite(tensor)? {
            return Err(TrainError::NonFinite { loss: format!("`{name}`"), value });
        }
    }
    Ok(())
}
