//! The same for all tensors of a network at once: on a CUDA device a launch each, elsewhere one tensor after the other.
use super::cuda;
use super::each::{adam_update, check, ema_update, sum_of_squares};
use super::step::{AdamStep, AdamUpdate};
use crate::dispatch::{Backend, backend, is_f64, on_cuda};
use candle_core::{DType, Result, Tensor, Var, bail};

/// [`adam_update`] of all parameters of a network. Nothing is changed if `guard`, a scalar in f64, is NaN or too large for an
/// f32: on a device this needs no waiting for its value.
///
/// # Errors
/// Those of [`adam_update`]; a guard of another type or device.
pub fn adam_update_all(updates: &[AdamUpdate<'_>], step: AdamStep, guard: Option<&Tensor>) -> Result<()> {
    let changed: Vec<&Tensor> =
        updates.iter().flat_map(|u| [u.parameter, u.m, u.v]).map(|x| x.as_tensor()).collect();
    let inputs: Vec<&Tensor> = changed.iter().copied().chain(updates.iter().map(|u| u.gradient)).collect();
    let in_place = changed.iter().all(|x| x.is_contiguous());
    if let Some(guard) = guard
        && !(guard.rank() == 0 && is_f64(guard).unwrap_or(false))
    {
        bail!(
            "adam_update_all: guard: expected a scalar in f64, got {:?} in {:?}",
            guard.dims(),
            guard.dtype()
        )
    }
    match backend("adam_update_all", &inputs)? {
        Backend::Cuda if in_place => {
            for u in updates {
                let others = [("gradient", u.gradient), ("m", u.m.as_tensor()), ("v", u.v.as_tensor())];
                check("adam_update_all", ("parameter", u.parameter), &others)?;
            }
            cuda::adam(updates, step, guard)
        }
        _ => {
            if let Some(guard) = guard
                && !(guard.to_scalar::<f64>()? as f32).is_finite()
            {
                return Ok(());
            }
            updates.iter().try_for_each(|u| adam_update(u.parameter, u.gradient, u.m, u.v, step))
        }
    }
}

/// [`ema_update`] of all pairs of an average and a value.
///
/// # Errors
/// Those of [`ema_update`].
pub fn ema_update_all(pairs: &[(&Var, &Tensor)], decay: f64) -> Result<()> {
    let inputs: Vec<&Tensor> =
        pairs.iter().flat_map(|(average, value)| [average.as_tensor(), *value]).collect();
    match backend("ema_update_all", &inputs)? {
        Backend::Cuda if pairs.iter().all(|(average, _)| average.is_contiguous()) => {
            for (average, value) in pairs {
                check("ema_update_all", ("average", average), &[("value", value)])?;
            }
            let pairs: Vec<_> = pairs.iter().map(|(average, value)| (average.as_tensor(), *value)).collect();
            cuda::ema(&pairs, decay)
        }
        _ => pairs.iter().try_for_each(|(average, value)| ema_update(average, value, decay)),
    }
}

/// `sqrt(sum x^2)` over all values of all tensors: a scalar in f64 on their device, NaN or infinite if a value is. It is NaN
/// too if a number of `also`, scalars in f32 or f64, is NaN or infinite: such a norm guards an update
/// ([`adam_update_all`]) against losses that are not finite.
///
/// # Errors
/// Tensors that are not numbers, or on different devices; no tensors.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use drgan_kernels::global_norm;
///
/// let (a, b) = (Tensor::new(&[3f32, 0.], &Device::Cpu)?, Tensor::new(4f32, &Device::Cpu)?);
/// assert_eq!(global_norm(&[&a, &b], &[])?.to_scalar::<f64>()?, 5.);
/// let loss = Tensor::new(f32::INFINITY, &Device::Cpu)?;
/// assert!(global_norm(&[&a, &b], &[&loss])?.to_scalar::<f64>()?.is_nan());
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn global_norm(tensors: &[&Tensor], also: &[&Tensor]) -> Result<Tensor> {
    let Some(first) = tensors.first() else { bail!("global_norm: there is no tensor") };
    match backend("global_norm", tensors)? {
        Backend::Cuda => cuda::norm(tensors, also),
        _ => {
            let mut sum = 0.;
            for tensor in tensors {
                sum += sum_of_squares(tensor)?;
            }
            let finite = read_scalars(also)?.iter().all(|value| value.is_finite());
            Tensor::new(if finite { sum.sqrt() } else { f64::NAN }, first.device())
        }
    }
}

/// The values of scalars, in f32 or f64 and on one device, which is waited for once.
///
/// # Errors
/// A tensor that is no scalar or of another type.
pub fn read_scalars(scalars: &[&Tensor]) -> Result<Vec<f64>> {
    if let Some(other) = scalars.iter().find(|x| x.elem_count() != 1) {
        bail!("read_scalars: expected one value, got {:?}", other.dims())
    }
    match scalars.first() {
        Some(first) if on_cuda(first) => cuda::read(scalars),
        _ => scalars.iter().map(|x| x.flatten_all()?.get(0)?.to_dtype(DType::F64)?.to_scalar()).collect(),
    }
}
