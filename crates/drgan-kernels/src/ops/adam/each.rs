//! One tensor after the other: Adam's update, an exponential moving average, a sum of squares.
use super::step::AdamStep;
use super::{cpu, reference};
use crate::cpu::slices::with_values;
use crate::dispatch::{Backend, backend, fall_back, is_float, same_type};
use crate::op::{same_storage, with_values_mut};
use candle_core::{Result, Tensor, Var, bail};

/// One step of Adam (Kingma and Ba, 2015) for one parameter p with gradient g and moments m and v, all changed in place:
/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`, `p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)`,
/// with g multiplied by [`AdamStep::scale`] first.
///
/// # Shapes
/// All tensors have one shape, one type and one device.
///
/// # Errors
/// Tensors of another shape, type or device; a type that is not a float; two tensors that share a storage.
///
/// ```
/// use candle_core::{DType, Device, Tensor, Var};
/// use drgan_kernels::{AdamStep, adam_update};
///
/// let p = Var::new(&[1f32, 2.], &Device::Cpu)?;
/// let (m, v) = (Var::zeros(2, DType::F32, &Device::Cpu)?, Var::zeros(2, DType::F32, &Device::Cpu)?);
/// let gradient = Tensor::new(&[0.5f32, -3.], &Device::Cpu)?;
/// adam_update(&p, &gradient, &m, &v, AdamStep::new(1, 0.1, (0.9, 0.999), 1e-8))?;
/// // The first step moves every value by the learning rate against the gradient's sign.
/// assert!(p.to_vec1::<f32>()?.iter().zip([0.9, 2.1]).all(|(p, want)| (p - want).abs() < 1e-6));
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn adam_update(parameter: &Var, gradient: &Tensor, m: &Var, v: &Var, step: AdamStep) -> Result<()> {
    check("adam_update", ("parameter", parameter), &[("gradient", gradient), ("m", m), ("v", v)])?;
    let in_place = [parameter, m, v].into_iter().all(|x| x.is_contiguous());
    match backend("adam_update", &[parameter, gradient, m, v])? {
        Backend::Cpu if in_place => {
            let gradient = gradient.detach().contiguous()?;
            with_values_mut(m, |m| {
                with_values_mut(v, |v| {
                    with_values_mut(parameter, |p| {
                        with_values([&gradient], |[g]| {
                            cpu::adam(p, g, m, v, step);
                            Ok(())
                        })
                    })
                })
            })
        }
        _ => fall_back(|| reference::adam_update(parameter, gradient, m, v, step)),
    }
}

/// One step of an exponential moving average, in place: `average = decay average + (1 - decay) value`.
///
/// # Shapes
/// Both tensors have one shape, one type and one device.
///
/// # Errors
/// Tensors of another shape, type or device; a type that is not a float; two tensors that share a storage.
pub fn ema_update(average: &Var, value: &Tensor, decay: f64) -> Result<()> {
    check("ema_update", ("average", average), &[("value", value)])?;
    match backend("ema_update", &[average, value])? {
        Backend::Cpu if average.is_contiguous() => {
            let value = value.detach().contiguous()?;
            with_values_mut(average, |average| {
                with_values([&value], |[value]| {
                    cpu::ema(average, value, decay);
                    Ok(())
                })
            })
        }
        _ => fall_back(|| reference::ema_update(average, value, decay)),
    }
}

/// `sum x^2` over all values, in f64; NaN or infinite if a value is.
///
/// # Errors
/// A type that is not a number.
pub fn sum_of_squares(x: &Tensor) -> Result<f64> {
    match backend("sum_of_squares", &[x])? {
        Backend::Cpu => with_values([&x.detach().contiguous()?], |[x]| Ok(cpu::sum_of_squares(x))),
        _ => fall_back(|| reference::sum_of_squares(x)),
    }
}

/// That `others` have the shape and type of the `first`, a float type, and each argument a storage of its own.
pub(super) fn check(operation: &str, first: (&str, &Tensor), others: &[(&str, &Tensor)]) -> Result<()> {
    let like = first.1;
    for (i, (name, other)) in others.iter().enumerate() {
        let mut before = others[..i].iter().chain([&first]);
        if let Some((twin, _)) = before.find(|(_, x)| same_storage(x, other)) {
            bail!("{operation}: {name}: shares its storage with {twin}, and each argument must have its own")
        }
        if other.shape() != like.shape() || !same_type(other, like) {
            bail!(
                "{operation}: {name}: expected {:?} in {:?}, got {:?} in {:?}",
                like.dims(),
                like.dtype(),
                other.dims(),
                other.dtype()
            )
        }
    }
    if !is_float(like) {
        bail!("{operation}: expected a float type, got {:?}", like.dtype())
    }
    Ok(())
}
