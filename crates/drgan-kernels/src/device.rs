//! CUDA devices: how one is opened, and what is missing where none can be.
use crate::precision::Precision;
use candle_core::Device;
use std::fmt;

/// Why a CUDA device cannot be opened, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCuda(String);

impl fmt::Display for NoCuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoCuda {}

/// Opens the CUDA device of this number, from 0. All work on it is ordered in one stream, whichever thread it comes from, and
/// memory that tensors give back stays with the program for the next ones.
///
/// candle's `Device::new_cuda` must not take its place: it has a stream per thread, and nothing orders them.
///
/// # Errors
/// [`NoCuda`] that names what is missing (the feature `cuda` of this build, a library, a driver that is new enough, a GPU that
/// is, a device of that number) and what to install.
pub fn open_cuda(number: usize) -> Result<Device, NoCuda> {
    open_cuda_with(number, Precision::F32)
}

/// [`open_cuda`] with convolutions and linear maps in another precision: a property of this device and its clones, which
/// another that is opened with the same number does not share.
///
/// # Errors
/// As [`open_cuda`].
pub fn open_cuda_with(number: usize, precision: Precision) -> Result<Device, NoCuda> {
    #[cfg(feature = "cuda")]
    return cuda::open(number, precision);
    #[cfg(not(feature = "cuda"))]
    {
        let _ = precision;
        Err(NoCuda(format!("`cuda:{number}`: this build has no CUDA support, its feature `cuda`; use `cpu`")))
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use super::{NoCuda, Precision};
    use crate::cuda::compute_in;
    use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError, result, sys};
    use candle_core::{CudaDevice, Device};

    /// What is loaded at run time, and where it comes from.
    const LIBRARIES: [(&str, &str); 3] = [
        ("libcuda.so.1", "it comes with NVIDIA's driver, 580 or newer"),
        (
            "libcublas.so.13",
            "it comes with CUDA 13 (`pip install nvidia-cublas`, or NVIDIA's package cuda-libraries-13-0)",
        ),
        (
            "libcurand.so.10",
            "it comes with CUDA 13 (`pip install nvidia-curand`, or NVIDIA's package cuda-libraries-13-0)",
        ),
    ];
    /// The CUDA version that this build's functions are of, as the driver counts: 1000 major + 10 minor.
    const VERSION: i32 = 13000;
    /// The lowest compute capability that the kernels are compiled for.
    const CAPABILITY: (i32, i32) = (8, 0);

    pub(super) fn open(number: usize, precision: Precision) -> Result<Device, NoCuda> {
        let no = |reason: String| NoCuda(format!("`cuda:{number}`: {reason}"));
        let failed = |e: DriverError| no(format!("the driver refuses it: {e}"));
        libraries().map_err(no)?;
        match result::init() {
            Err(e) if e.0 == sys::CUresult::CUDA_ERROR_NO_DEVICE => {
                return Err(
                    no("there is no NVIDIA GPU, or the driver does not see it; use `cpu`".to_owned()),
                );
            }
            initialized => initialized.map_err(failed)?,
        }
        let has = driver_version().map_err(failed)?;
        if has < VERSION {
            let name = |v: i32| format!("{}.{}", v / 1000, v % 1000 / 10);
            let reason = format!(
                "the driver supports CUDA {}, this program needs {}; install driver 580 or newer",
                name(has),
                name(VERSION)
            );
            return Err(no(reason));
        }
        let count = CudaContext::device_count().map_err(failed)?;
        if i64::try_from(number).is_ok_and(|number| number >= count.into()) {
            return Err(no(format!("there are {count} devices, numbered from 0")));
        }
        let context = CudaContext::new(number).map_err(failed)?;
        let capability = context.compute_capability().map_err(failed)?;
        if capability < CAPABILITY {
            let (major, minor) = capability;
            return Err(no(format!(
                "the GPU is of compute capability {major}.{minor}; the kernels are for {}.{} and newer",
                CAPABILITY.0, CAPABILITY.1
            )));
        }
        let device = CudaDevice::new_with_stream(number).map_err(|e| no(e.to_string()))?;
        // SAFETY: with one stream there is nothing to order by events: each piece of work begins after what was enqueued
        // before it, from whichever thread.
        unsafe { device.disable_event_tracking() };
        keep_memory(&context).map_err(failed)?;
        compute_in(&device, precision);
        Ok(Device::Cuda(device))
    }

    fn libraries() -> Result<(), String> {
        if cfg!(not(target_os = "linux")) {
            return Ok(()); // linked by other names; the driver's own errors have to do
        }
        for (file, source) in LIBRARIES {
            // SAFETY: loading runs the library's own initialization, as its first use would.
            if let Err(e) = unsafe { libloading::Library::new(file) } {
                return Err(format!(
                    "{file} cannot be loaded: {source}; its folder has to be in LD_LIBRARY_PATH ({e})"
                ));
            }
        }
        Ok(())
    }

    fn driver_version() -> Result<i32, DriverError> {
        let mut version = 0;
        // SAFETY: writes one integer.
        unsafe { sys::cuDriverGetVersion(&raw mut version) }.result()?;
        Ok(version)
    }

    /// The pool gives memory back to the system at each synchronization, which then has to be asked for it again, unless it
    /// is told to keep it.
    fn keep_memory(context: &CudaContext) -> Result<(), DriverError> {
        let (mut pool, mut all) = (std::ptr::null_mut(), u64::MAX);
        // SAFETY: the device is the context's own; the attribute's value is a `u64`.
        unsafe {
            sys::cuDeviceGetDefaultMemPool(&raw mut pool, context.cu_device()).result()?;
            let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
            sys::cuMemPoolSetAttribute(pool, threshold, (&raw mut all).cast()).result()
        }
    }
}
