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

/// Lets a CUDA device and its clones compute convolutions as columns and products.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn convolve_by_columns(device: &Device) {
    if let Device::Cuda(device) = device {
        crate::cuda::convolve_by_columns(device);
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
#[cfg_attr(any(test, feature = "testing"), track_caller)]
pub(crate) fn fall_back<R>(reference: impl FnOnce() -> Result<R>) -> Result<R> {
    #[cfg(any(test, feature = "testing"))]
    counter::count(std::panic::Location::caller());
    reference()
}

#[cfg(any(test, feature = "testing"))]
pub use counter::{fallbacks, places_of_fallbacks};

#[cfg(any(test, feature = "testing"))]
mod counter {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::panic::Location;
    use std::path::Path;

    thread_local! {
        static FALLBACKS: RefCell<BTreeMap<&'static str, usize>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(super) fn count(at: &Location<'static>) {
        FALLBACKS.with_borrow_mut(|counts| *counts.entry(at.file()).or_default() += 1);
    }

    /// How often the calling thread has run a reference in place of a kernel, since it began.
    ///
    /// Only operations called on this thread are counted, since each thread has a count of its own. What a task calls that
    /// runs on another thread (of `rayon::scope`, `rayon::join` or `std::thread::spawn`) is not in it: a test of such code
    /// asks in the task, or runs all tasks in a pool of one thread.
    pub fn fallbacks() -> usize {
        FALLBACKS.with_borrow(|counts| counts.values().sum())
    }

    /// [`fallbacks`] by the operation's folder in `ops`, such as `conv2d_joint`.
    pub fn places_of_fallbacks() -> BTreeMap<String, usize> {
        let mut places = BTreeMap::new();
        FALLBACKS.with_borrow(|counts| {
            for (file, times) in counts {
                let folder = Path::new(file).parent().and_then(Path::file_name).unwrap_or_default();
                *places.entry(folder.to_string_lossy().into_owned()).or_default() += times;
            }
        });
        places
    }
}
