//! What a CUDA device says about itself, and how long its kernels take.
use crate::dispatch::queue;
use candle_core::{Device, Result};

/// What a CUDA device says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFacts {
    /// The name that the driver gives it.
    pub name: String,
    /// Whether it is the emulated device of `.ci/cuda`: no figure of it says anything about a GPU.
    pub is_emulated: bool,
    /// Its compute capability.
    pub capability: (i32, i32),
    /// Bytes of its memory.
    pub memory: u64,
    /// The CUDA version that the driver supports, as 1000 major + 10 minor.
    pub driver: i32,
}

/// The launches of one kernel of this crate, or of one of the libraries that it calls, in some work.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// The kernel's name; for a library, what it was asked for.
    pub kernel: String,
    /// How often it was launched.
    pub launches: usize,
    /// Their time on the device, each from the event before it to the one after it.
    pub seconds: f64,
    /// Bytes of the arguments, each touched once: what has to be moved at least. What a kernel reads through a table of addresses
    /// is not in it.
    pub bytes: u64,
    /// Multiplications and additions of products and convolutions.
    pub operations: u64,
}

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

/// Launches so far of all kernels, candle's too, or of the one of this name; `None` on a device that does not count, as GPUs do
/// not.
pub fn launches(kernel: Option<&std::ffi::CStr>) -> Option<u64> {
    crate::cuda::launches(kernel)
}
