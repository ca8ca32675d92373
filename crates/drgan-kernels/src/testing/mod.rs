//! What tests of this crate and of others, and the check of a device, ask of it: all operations with inputs to call them with,
//! which of them ran a reference in place of a kernel, what a device is and how long its kernels take.
mod device;
mod operation;
mod operations;
mod size;

pub use crate::cuda::about::{DeviceFacts, KernelTime};
pub use crate::dispatch::{fallbacks, places_of_fallbacks};
pub use device::{
    convolve_by_columns, device_facts, forget_peak_memory, kernels, launches, peak_memory, profile,
};
pub use operation::{Evaluated, Operation};
pub use operations::operations;
pub use size::Size;
