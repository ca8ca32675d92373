//! What a CUDA device is asked about itself, and how long its kernels take.
use crate::cuda::about::{DeviceFacts, KernelTime};
use crate::dispatch::queue;
use candle_core::{Device, Result};

/// What a device says about itself; `None` for the CPU.
///
/// # Errors
/// What the driver says.
pub fn device_facts(device: &Device) -> Result<Option<DeviceFacts>> {
    queue(device)?.map(|queue| queue.facts()).transpose()
}

/// The most bytes of a device's memory that tensors have held at once since [`forget_peak_memory`]; `None` for the CPU.
///
/// # Errors
/// What the driver says.
pub fn peak_memory(device: &Device) -> Result<Option<u64>> {
    queue(device)?.map(|queue| queue.peak_memory(false)).transpose()
}

/// From now on [`peak_memory`] counts anew.
///
/// # Errors
/// What the driver says.
pub fn forget_peak_memory(device: &Device) -> Result<()> {
    queue(device)?.map_or(Ok(()), |queue| queue.peak_memory(true).map(drop))
}

/// Runs `work` and gives the time of each kernel that it launched on a device, the longest first; nothing for the CPU.
/// candle's own kernels are not among them.
///
/// # Errors
/// Those of `work`; what the driver says.
pub fn profile(device: &Device, work: impl FnOnce() -> Result<()>) -> Result<Vec<KernelTime>> {
    match queue(device)? {
        Some(queue) => queue.profile(work),
        None => work().map(|()| Vec::new()),
    }
}

/// From now on a CUDA device and its clones compute convolutions as columns and products, as they do without cuDNN.
pub fn convolve_by_columns(device: &Device) {
    crate::dispatch::convolve_by_columns(device);
}

/// The names of all CUDA kernels of this crate; none without the feature `cuda`.
pub fn kernels() -> Vec<&'static str> {
    crate::cuda::kernels()
}

/// Launches so far of all kernels, candle's too, or of the one of this name; `None` on a device that does not count, as GPUs do
/// not.
pub fn launches(kernel: Option<&std::ffi::CStr>) -> Option<u64> {
    crate::cuda::launches(kernel)
}
