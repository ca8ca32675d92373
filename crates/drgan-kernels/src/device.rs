//! CUDA devices: how one is opened, and what is missing where none can be.
use crate::convolutions::Convolutions;
use crate::dispatch::queue;
use crate::precision::Precision;
use candle_core::{Device, Result as DeviceResult};
use std::fmt;

/// Why a CUDA device cannot be opened, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCuda {
    reason: String,
    has_driver: bool,
}

impl NoCuda {
    /// Whether NVIDIA's driver is installed, and this build could use it: what is missing then is a fault of the set-up, and not
    /// a machine without a GPU.
    pub fn has_driver(&self) -> bool {
        self.has_driver
    }
}

impl fmt::Display for NoCuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for NoCuda {}

/// What computes convolutions on a device; `None` for the CPU, whose kernels do.
///
/// # Errors
/// The environment asks for cuDNN, which is not there, or for nothing that there is: a device that [`open_cuda`] gave has none.
pub fn convolutions(device: &Device) -> DeviceResult<Option<Convolutions>> {
    queue(device)?.map(|queue| queue.convolutions()).transpose()
}

/// Bytes of a CUDA device's memory that nobody has taken; `None` for the CPU.
///
/// # Errors
/// What the driver says.
pub fn free_memory(device: &Device) -> DeviceResult<Option<u64>> {
    queue(device)?.map(|queue| queue.free_memory()).transpose()
}

/// Opens the CUDA device of this number, from 0. All work on it is ordered in one stream, whichever thread it comes from, and
/// memory that tensors give back stays with the program for the next ones.
///
/// candle's `Device::new_cuda` must not take its place: it has a stream per thread, and nothing orders them.
///
/// # Errors
/// [`NoCuda`] that names what is missing (the feature `cuda` of this build, a library, a driver that is new enough, a GPU that
/// is, a device of that number) and what to install; or a variable of the environment that asks for what there is not.
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
        let reason = format!("`cuda:{number}`: this build has no CUDA support, its feature `cuda`");
        Err(NoCuda { reason, has_driver: false })
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use super::{NoCuda, Precision};
    use crate::cuda::{Queue, compute_in};
    use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError, result, sys};
    use candle_core::{CudaDevice, Device};
    use std::error::Error as _;

    /// A library that is loaded at run time.
    struct Needed {
        file: &'static str,
        /// Where it comes from.
        source: &'static str,
        /// Functions that are called of it, without which it is of no use.
        functions: &'static [&'static str],
    }

    const DRIVER: Needed = Needed {
        file: "libcuda.so.1",
        source: "it comes with NVIDIA's driver, 580 or newer",
        functions: &[
            "cuInit",
            "cuDriverGetVersion",
            "cuDeviceGetCount",
            "cuDevicePrimaryCtxRetain",
            "cuStreamCreate",
            "cuEventElapsedTime_v2",
            "cuMemAllocAsync",
            "cuMemGetInfo_v2",
            "cuMemHostAlloc",
            "cuMemPoolSetAttribute",
            "cuModuleLoadData",
            "cuLaunchKernel",
        ],
    };
    const OTHERS: [Needed; 2] = [
        Needed {
            file: "libcublas.so.13",
            source: "it comes with CUDA 13 (`pip install nvidia-cublas`, or NVIDIA's package cuda-libraries-13-0)",
            functions: &[
                "cublasCreate_v2",
                "cublasDestroy_v2",
                "cublasSetStream_v2",
                "cublasGemmStridedBatchedEx",
                "cublasSgemmStridedBatched",
                "cublasDgemmStridedBatched",
            ],
        },
        Needed {
            file: "libcurand.so.10",
            source: "it comes with CUDA 13 (`pip install nvidia-curand`, or NVIDIA's package cuda-libraries-13-0)",
            functions: &[
                "curandCreateGenerator",
                "curandDestroyGenerator",
                "curandSetStream",
                "curandSetPseudoRandomGeneratorSeed",
            ],
        },
    ];
    /// The CUDA version that this build's functions are of, as the driver counts: 1000 major + 10 minor.
    const VERSION: i32 = 13000;
    /// The lowest compute capability that the kernels are compiled for.
    const CAPABILITY: (i32, i32) = (8, 0);

    pub(super) fn open(number: usize, precision: Precision) -> Result<Device, NoCuda> {
        let no = |reason: String| NoCuda { reason: format!("`cuda:{number}`: {reason}"), has_driver: true };
        let failed = |e: DriverError| no(format!("the driver refuses it: {e}"));
        // Elsewhere they are linked by other names; the driver's own errors have to do.
        if cfg!(target_os = "linux") {
            DRIVER.find().map_err(|lack| NoCuda { has_driver: !lack.is_absent, ..no(lack.reason) })?;
        }
        match result::init() {
            Err(e) if e.0 == sys::CUresult::CUDA_ERROR_NO_DEVICE => {
                return Err(no("there is no NVIDIA GPU, or the driver does not see it".to_owned()));
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
            return Err(no(match count {
                1 => "there is one device, `cuda:0`".to_owned(),
                _ => format!("there are {count} devices, `cuda:0` to `cuda:{}`", count - 1),
            }));
        }
        if cfg!(target_os = "linux") {
            OTHERS.iter().try_for_each(|library| library.find().map_err(|lack| no(lack.reason)))?;
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
        let asked = Queue::on(&device).and_then(|queue| queue.convolutions());
        asked.map_err(|e| no(e.to_string()))?;
        Ok(Device::Cuda(device))
    }

    /// What is wrong with a library.
    struct Lack {
        reason: String,
        /// There is no such file, rather than one that is of no use.
        is_absent: bool,
    }

    impl Needed {
        /// Looks for the library and its functions.
        fn find(&self) -> Result<(), Lack> {
            let Self { file, source, functions } = self;
            // SAFETY: loading runs the library's own initialization, as its first use would.
            let library = unsafe { libloading::Library::new(*file) }.map_err(|e| {
                let said = e.source().map_or_else(|| e.to_string(), ToString::to_string);
                let is_absent = said.starts_with(&format!("{file}: cannot open shared object file"));
                let reason = format!(
                    "{file} cannot be loaded: {source}; its folder has to be in LD_LIBRARY_PATH ({said})"
                );
                Lack { reason, is_absent }
            })?;
            for name in *functions {
                // SAFETY: the symbol is looked for and not used.
                if unsafe { library.get::<*const ()>(*name) }.is_err() {
                    let reason = format!(
                        "{file} lacks the function {name}: it is broken or of another version; {source}"
                    );
                    return Err(Lack { reason, is_absent: false });
                }
            }
            Ok(())
        }
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
