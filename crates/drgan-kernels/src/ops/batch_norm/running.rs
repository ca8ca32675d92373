//! Running statistics: what batch normalization by given statistics uses, after many batches.
use super::{cuda, normalized::Normalized, reference};
use crate::dispatch::{Backend, backend, fall_back, same_type};
use crate::op::same_storage;
use candle_core::{Result, Var, bail};

/// Moves running statistics towards those of a batch, in place: `mean += momentum (batch mean - mean)`, and
/// `var += momentum (n / (n - 1) batch variance - var)` for `n` values per channel, since the running variance is the unbiased
/// one, as PyTorch's.
///
/// # Shapes
/// `running`, mean and variance: `(C,)` each, as those of `batch`.
///
/// # Errors
/// Tensors of another shape, type or device than the batch's statistics; two that share a storage.
///
/// ```
/// use candle_core::{DType, Device, Tensor, Var};
/// use drgan_kernels::{Activation, batch_norm, update_running_statistics};
///
/// let (one, zero) = (Tensor::ones(1, DType::F32, &Device::Cpu)?, Tensor::zeros(1, DType::F32, &Device::Cpu)?);
/// let x = Tensor::new(&[[1f32], [3.]], &Device::Cpu)?; // mean 2, unbiased variance 2
/// let batch = batch_norm(&x, &one, &zero, 1e-5, Activation::Identity, None)?;
/// let (mean, var) = (Var::from_tensor(&zero)?, Var::from_tensor(&one)?);
/// update_running_statistics((&mean, &var), &batch, 0.5)?;
/// assert_eq!((mean.to_vec1::<f32>()?, var.to_vec1::<f32>()?), (vec![1.], vec![1.5]));
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn update_running_statistics(running: (&Var, &Var), batch: &Normalized, momentum: f64) -> Result<()> {
    let (mean, var) = running;
    for (name, running) in [("mean", mean), ("variance", var)] {
        if running.shape() != batch.mean.shape() || !same_type(running, &batch.mean) {
            bail!(
                "update_running_statistics: running {name}: expected {:?} in {:?}, got {:?} in {:?}",
                batch.mean.dims(),
                batch.mean.dtype(),
                running.dims(),
                running.dtype()
            )
        }
    }
    if same_storage(mean, var) {
        bail!("update_running_statistics: mean and variance share a storage, and each must have its own")
    }
    let in_place = mean.is_contiguous() && var.is_contiguous();
    match backend("update_running_statistics", &[mean, var, &batch.mean, &batch.var])? {
        Backend::Cuda if in_place => cuda::update_running(running, batch, momentum),
        // A few values per channel: candle's operations are good enough there.
        Backend::Cpu => reference::update_running_statistics(running, batch, momentum),
        _ => fall_back(|| reference::update_running_statistics(running, batch, momentum)),
    }
}
