//! Where an operation runs: the one place that asks on which device tensors are and of which type.
//!
//! A public function checks its shapes, asks [`backend`], and calls the kernel of that backend or, through [`fall_back`],
//! its reference. A device gets a variant of [`Backend`] and an arm in those functions that have a kernel for it; all other
//! operations run their reference there.
use crate::cuda::Queue;
use candle_core::{DType, Device, Result, Tensor, bail};

/// What computes an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// The kernels in f32 on the CPU.
    Cpu,
    /// The kernels in f32 on a CUDA device.
    Cuda,
    /// The reference implementation in candle's own operations: any float type on any device.
    Reference,
}

/// The backend for tensors that meet in one operation.
///
/// # Errors
/// Tensors on different devices.
pub(crate) fn backend(operation: &str, inputs: &[&Tensor]) -> Result<Backend> {
    expect_one_device(operation, inputs)?;
    Ok(match inputs.first().map(|x| x.device()) {
        _ if inputs.iter().any(|x| x.dtype() != DType::F32) => Backend::Reference,
        Some(Device::Cpu) => Backend::Cpu,
        Some(Device::Cuda(_)) => Backend::Cuda,
        _ => Backend::Reference,
    })
}

/// Refuses tensors on different devices.
pub(crate) fn expect_one_device(operation: &str, inputs: &[&Tensor]) -> Result<()> {
    if let Some((first, rest)) = inputs.split_first()
        && let Some(other) = rest.iter().find(|x| !x.device().same_device(first.device()))
    {
        bail!(
            "{operation}: all tensors must be on one device, got {:?} and {:?}",
            first.device().location(),
            other.device().location()
        )
    }
    Ok(())
}

/// Whether two tensors have values of one type.
pub(crate) fn same_type(a: &Tensor, b: &Tensor) -> bool {
    a.dtype() == b.dtype()
}

/// Whether a tensor's values are floats of any width.
pub(crate) fn is_float(x: &Tensor) -> bool {
    x.dtype().is_float()
}

/// Whether a tensor's values are f64 rather than f32.
///
/// # Errors
/// They are of another type.
pub(crate) fn is_f64(x: &Tensor) -> Result<bool> {
    match x.dtype() {
        DType::F32 => Ok(false),
        DType::F64 => Ok(true),
        other => bail!("expected f32 or f64, got {other:?}"),
    }
}

/// Where a device's work is enqueued, if it is a CUDA device.
pub(crate) fn queue(device: &Device) -> Result<Option<Queue>> {
    match device {
        Device::Cuda(device) => Queue::on(device).map(Some),
        _ => Ok(None),
    }
}

/// Whether a tensor is on a CUDA device, whatever its type.
pub(crate) fn on_cuda(x: &Tensor) -> bool {
    x.device().is_cuda()
}

/// Whether a tensor's device takes work in one queue, to which threads side by side would add nothing.
pub fn in_one_queue(x: &Tensor) -> bool {
    !x.device().is_cpu()
}

/// Runs a reference implementation in place of a kernel.
pub(crate) fn fall_back<R>(reference: impl FnOnce() -> Result<R>) -> Result<R> {
    #[cfg(any(test, feature = "testing"))]
    counter::FALLBACKS.set(counter::FALLBACKS.get() + 1);
    reference()
}

/// How often the calling thread has run a reference in place of a kernel, since it began.
///
/// Only operations called on this thread are counted, since each thread has a count of its own. What a task calls that runs
/// on another thread (of `rayon::scope`, `rayon::join` or `std::thread::spawn`) is not in it: a test of such code asks in
/// the task.
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub, reason = "public by the feature"))]
pub fn fallbacks() -> usize {
    counter::FALLBACKS.get()
}

#[cfg(any(test, feature = "testing"))]
mod counter {
    use std::cell::Cell;

    thread_local! {
        pub(super) static FALLBACKS: Cell<usize> = const { Cell::new(0) };
    }
}
