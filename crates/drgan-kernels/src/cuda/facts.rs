//! What a device says about itself and its memory, for the check of a device.
use super::Queue;
use super::about::{DeviceFacts, KernelTime};
use super::profile::profile;
use candle_core::Result;
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::sys;
use std::ffi::{c_char, c_ulong};

impl Queue {
    /// Name, compute capability and memory of the device, and the version of its driver.
    pub(crate) fn facts(&self) -> Result<DeviceFacts> {
        let context = self.device.cuda_stream().context().clone();
        let mut driver = 0;
        // SAFETY: writes one integer.
        unsafe { sys::cuDriverGetVersion(&raw mut driver) }.result().w()?;
        let name = context.name().w()?;
        Ok(DeviceFacts {
            is_emulated: name.starts_with("emulated device"),
            name,
            capability: context.compute_capability().w()?,
            memory: context.total_mem().w()? as u64,
            driver,
        })
    }

    /// The most bytes that tensors have held at once, since the last call with `forget`.
    pub(crate) fn peak_memory(&self, forget: bool) -> Result<u64> {
        let context = self.device.cuda_stream().context().clone();
        let high = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
        let (mut pool, mut bytes, mut zero) = (std::ptr::null_mut(), 0u64, 0u64);
        // SAFETY: the device is the context's own; the attribute's value is a `u64`.
        unsafe {
            sys::cuDeviceGetDefaultMemPool(&raw mut pool, context.cu_device()).result().w()?;
            sys::cuMemPoolGetAttribute(pool, high, (&raw mut bytes).cast()).result().w()?;
            if forget {
                sys::cuMemPoolSetAttribute(pool, high, (&raw mut zero).cast()).result().w()?;
            }
        }
        Ok(bytes)
    }

    /// The time of each kernel that `work` launches.
    pub(crate) fn profile(&self, work: impl FnOnce() -> Result<()>) -> Result<Vec<KernelTime>> {
        profile(work)
    }
}

/// Launches of all kernels so far, candle's too, or of one; `None` on a device that does not count.
pub(crate) fn launches(kernel: Option<&std::ffi::CStr>) -> Option<u64> {
    // SAFETY: the library is loaded already, and stays so; the function has this type (.ci/cuda/emulator/driver.cpp).
    unsafe {
        let library = libloading::Library::new("libcuda.so.1").ok()?;
        let count =
            library.get::<unsafe extern "C" fn(*const c_char) -> c_ulong>(b"cudaemu_launches\0").ok()?;
        let count = count(kernel.map_or(std::ptr::null(), std::ffi::CStr::as_ptr));
        std::mem::forget(library);
        Some(count)
    }
}
