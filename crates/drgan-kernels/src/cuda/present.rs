//! Memory and launches on a CUDA device, over the driver's functions.
use super::launch::{Arg, Grid, THREADS, Work};
use crate::precision::Precision;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaView, DevicePtr, DevicePtrMut, DeviceRepr, DeviceSlice, LaunchConfig,
    PushKernelArg,
};
use candle_core::cuda_backend::{CudaDType, DeviceId, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, Layout, Result, Shape, Storage, Tensor, bail};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// The compiled kernels, a text per .cu file.
const PTX: &[&str] = include!(concat!(env!("OUT_DIR"), "/ptx.rs"));

/// The types of values that a tensor on a device may have.
pub(crate) trait Value: CudaDType {}
impl<T: CudaDType> Value for T {}

/// Where all work of a device is enqueued.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(super) device: CudaDevice,
    /// What convolutions and linear maps are computed in.
    pub(super) precision: Precision,
    /// Whether convolutions are columns and products, whatever is installed.
    pub(super) by_columns: bool,
}

/// Values on a device, owned.
#[derive(Debug)]
pub(crate) struct Buffer<T = f32>(pub(super) CudaSlice<T>);

/// Values of a tensor or a buffer, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a, T = f32> {
    address: u64,
    len: usize,
    of: PhantomData<&'a T>,
}

/// A kernel that was asked for: the driver's handle, and what each argument is.
struct Kernel {
    function: CudaFunction,
    parameters: Vec<&'static str>,
}

/// Those that were asked for, by device and name.
type Kernels = HashMap<(DeviceId, &'static str), Arc<Kernel>>;

/// How a device computes.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    precision: Precision,
    by_columns: bool,
}

/// The ways of devices that compute otherwise than by default.
static WAYS: RwLock<Vec<(DeviceId, Way)>> = RwLock::new(Vec::new());

/// Lets a device that was just opened compute in this precision.
pub(crate) fn compute_in(device: &CudaDevice, precision: Precision) {
    if precision != Precision::F32 {
        compute(device, |way| way.precision = precision);
    }
}

/// Lets a device compute convolutions as columns and products.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn convolve_by_columns(device: &CudaDevice) {
    compute(device, |way| way.by_columns = true);
}

fn compute(device: &CudaDevice, change: impl FnOnce(&mut Way)) {
    let mut way = way_of(device);
    change(&mut way);
    let mut ways = WAYS.write().unwrap_or_else(PoisonError::into_inner);
    ways.retain(|(id, _)| *id != device.id());
    ways.push((device.id(), way));
}

fn way_of(device: &CudaDevice) -> Way {
    let ways = WAYS.read().unwrap_or_else(PoisonError::into_inner);
    ways.iter().find(|(id, _)| *id == device.id()).map(|(_, way)| *way).unwrap_or_default()
}

/// The names of all kernels of this crate.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn kernels() -> Vec<&'static str> {
    let names = PTX.iter().flat_map(|ptx| ptx.split(".entry ").skip(1));
    names.filter_map(|rest| rest.split('(').next()).collect()
}

impl Queue {
    /// The queue of the device that a tensor's values are on.
    pub(crate) fn of(storage: &CudaStorage) -> Result<Self> {
        Self::on(&storage.device)
    }

    /// The queue of a device.
    pub(crate) fn on(device: &CudaDevice) -> Result<Self> {
        let Way { precision, by_columns } = way_of(device);
        Ok(Self { device: device.clone(), precision, by_columns })
    }

    /// The same queue for work in another precision than its device's.
    #[must_use]
    pub(crate) fn with_precision(&self, precision: Precision) -> Self {
        Self { precision, ..self.clone() }
    }

    /// Bytes of the device's memory that nobody has taken.
    pub(crate) fn free_memory(&self) -> Result<u64> {
        let context = self.device.cuda_stream().context().clone();
        Ok(context.mem_get_info().w()?.0 as u64)
    }

    /// Room for `n` values, which are not set.
    pub(crate) fn buffer<T: DeviceRepr>(&self, n: usize) -> Result<Buffer<T>> {
        // SAFETY: any bits are a number; a kernel writes them before they are read, which the emulated device checks.
        Ok(Buffer(unsafe { self.device.alloc::<T>(n.max(1)) }?))
    }

    /// These values on the device.
    pub(crate) fn upload<T: DeviceRepr + 'static>(&self, values: &[T]) -> Result<Buffer<T>> {
        Ok(Buffer(self.device.clone_htod(values)?))
    }

    /// The values of a buffer, after all that is enqueued.
    pub(crate) fn download<T: DeviceRepr>(&self, buffer: &Buffer<T>) -> Result<Vec<T>> {
        self.device.clone_dtoh(&buffer.0)
    }

    /// Enqueues a kernel; without blocks there is nothing to do.
    ///
    /// # Errors
    /// Arguments of another number or kind than the kernel has; a grid beyond the device's limits; what the driver says.
    pub(crate) fn launch(&self, kernel: &'static str, grid: Grid, args: &[Arg<'_>]) -> Result<()> {
        if grid.x == 0 || grid.y == 0 {
            return Ok(());
        }
        let found = self.kernel(kernel)?;
        if !args.iter().map(kind).eq(found.parameters.iter().copied()) {
            let given: Vec<&str> = args.iter().map(kind).collect();
            bail!("kernel {kernel}: has parameters {:?}, was given {given:?}", found.parameters)
        }
        let (Ok(x), Ok(y)) = (i32::try_from(grid.x), u16::try_from(grid.y)) else {
            bail!("kernel {kernel}: {} x {} blocks are more than a device takes", grid.x, grid.y)
        };
        let config = LaunchConfig {
            grid_dim: (x.cast_unsigned(), y.into(), 1),
            block_dim: (THREADS as u32, 1, 1),
            shared_mem_bytes: 0,
        };
        let stream = self.device.cuda_stream();
        let bytes = args.iter().map(|arg| if let Arg::Memory(_, bytes, _) = arg { *bytes } else { 0 }).sum();
        let mut launch = stream.launch_builder(&found.function);
        for arg in args {
            match arg {
                Arg::Memory(value, ..) | Arg::Size(value) => launch.arg(value),
                Arg::Int(value) => launch.arg(value),
                Arg::Float(value) => launch.arg(value),
                Arg::Double(value) => launch.arg(value),
            };
        }
        // SAFETY: number and kinds of arguments are the kernel's. What it reads was enqueued before and what it writes is
        // freed after it, in the one stream there is. That it stays within the sizes it is given is its own affair.
        self.timed(kernel, Work { bytes, operations: 0 }, || unsafe { launch.launch(config) }.w())?;
        Ok(())
    }

    /// A kernel of this name, from the module that has it; modules are loaded once per device.
    fn kernel(&self, name: &'static str) -> Result<Arc<Kernel>> {
        static KERNELS: OnceLock<Mutex<Kernels>> = OnceLock::new();
        let mut kernels = KERNELS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kernels.get(&(self.device.id(), name)) {
            return Ok(found.clone());
        }
        let entry = format!(".entry {name}(");
        let Some((module, (ptx, at))) =
            PTX.iter().enumerate().find_map(|(i, ptx)| Some((i, (ptx, ptx.find(&entry)?))))
        else {
            bail!("no kernel {name} was compiled into this program")
        };
        let parameters = ptx[at..].split_once(')').map_or("", |(head, _)| head);
        let function = self.device.get_or_load_custom_func(name, &format!("drgan {module}"), ptx)?;
        let kernel = Kernel {
            function: function.into_cuda_function(),
            parameters: parameters.lines().filter_map(kind_of_parameter).collect(),
        };
        Ok(kernels.entry((self.device.id(), name)).or_insert(Arc::new(kernel)).clone())
    }

    /// A buffer as candle's storage.
    pub(crate) fn storage<T: Value>(&self, buffer: Buffer<T>) -> CudaStorage {
        CudaStorage::wrap_cuda_slice(buffer.0, self.device.clone())
    }

    /// A buffer as a tensor that is a constant.
    pub(crate) fn tensor<T: Value>(&self, buffer: Buffer<T>, shape: impl Into<Shape>) -> Tensor {
        Tensor::from_storage(Storage::Cuda(self.storage(buffer)), shape, BackpropOp::none(), false)
    }
}

/// What the PTX calls an argument of this kind.
fn kind(arg: &Arg<'_>) -> &'static str {
    match arg {
        // PTX does not tell a pointer from a number of its size.
        Arg::Memory(..) | Arg::Size(_) => "u64",
        Arg::Int(_) => "u32",
        Arg::Float(_) => "f32",
        Arg::Double(_) => "f64",
    }
}

/// The kind of the parameter that a line of PTX declares, such as `.param .u64 NAME`.
fn kind_of_parameter(line: &'static str) -> Option<&'static str> {
    let mut words = line.split_whitespace().skip_while(|word| *word != ".param").skip(1);
    Some(words.next()?.trim_start_matches('.'))
}

impl<'a, T: Value> View<'a, T> {
    /// The values of a contiguous storage of this type.
    pub(crate) fn of(storage: &'a CudaStorage, layout: &Layout) -> Result<Self> {
        let Some((from, to)) = layout.contiguous_offsets() else {
            bail!("a kernel was given a storage that is not contiguous")
        };
        let slice: CudaView<'_, T> = storage.as_cuda_slice::<T>()?.slice(from..to);
        // The second value orders streams by events, which one stream does without.
        let (address, _) = slice.device_ptr(slice.stream());
        Ok(Self { address, len: to - from, of: PhantomData })
    }
}

impl<T> View<'_, T> {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where the first value is, for a table of addresses that a kernel reads. Tensor and buffer have to live until the
    /// kernel is enqueued.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }
}

impl<T> Buffer<T> {
    /// Its values, to be read.
    pub(crate) fn view(&self) -> View<'_, T> {
        let (address, _) = self.0.device_ptr(self.0.stream());
        View { address, len: self.0.len(), of: PhantomData }
    }
}

impl<'a, T> From<View<'a, T>> for Arg<'a> {
    fn from(view: View<'a, T>) -> Self {
        Arg::Memory(view.address, (view.len * size_of::<T>()) as u64, PhantomData)
    }
}

impl<'a, T> From<&'a mut Buffer<T>> for Arg<'a> {
    fn from(buffer: &'a mut Buffer<T>) -> Self {
        let stream = buffer.0.stream().clone();
        let (address, _) = buffer.0.device_ptr_mut(&stream);
        Arg::Memory(address, (buffer.0.len() * size_of::<T>()) as u64, PhantomData)
    }
}
