//! cuDNN where it is installed: convolutions by fixed algorithms, which give the same bits each time.
mod library;
mod plan;

use super::convolution::{Asked, Geometry, Pass};
use super::launch::{Grid, Work, args};
use super::{Buffer, Queue, View};
use crate::convolutions::Convolutions;
use crate::precision::Precision;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, DevicePtr};
use candle_core::cuda_backend::{DeviceId, WrapErr};
use candle_core::{Result, bail};
use library::{Functions, Object, Refused};
use plan::{Algorithm, Plan};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

/// Geometries that are kept; more than any run has, but a program that lives long may see any number.
const KEPT: usize = 4096;

/// A device's handle, what has been set up on it, and the room that algorithms compute in.
struct Cudnn {
    functions: &'static Functions,
    handle: Object,
    plans: HashMap<(Geometry, Precision), Plan>,
    /// As large as any algorithm has asked for so far.
    workspace: Option<CudaSlice<u8>>,
}

// SAFETY: a handle and its descriptors may be used by any thread, one at a time, which `DEVICES` sees to.
unsafe impl Send for Cudnn {}

static DEVICES: LazyLock<Mutex<HashMap<DeviceId, Cudnn>>> = LazyLock::new(Mutex::default);

/// cuDNN's functions, if they are to be used, or why they cannot be unless nobody asked for them.
enum Found {
    Functions(Functions),
    Nothing { lacks: Option<String> },
}

fn found() -> Result<&'static Found> {
    static FOUND: OnceLock<std::result::Result<Found, String>> = OnceLock::new();
    let find = || match Asked::by_environment()? {
        Asked::Columns => Ok(Found::Nothing { lacks: None }),
        asked => match Functions::load() {
            Ok(functions) => Ok(Found::Functions(functions)),
            Err(reason) => asked.without(reason).map(|lacks| Found::Nothing { lacks }),
        },
    };
    FOUND.get_or_init(find).as_ref().map_err(candle_core::Error::msg)
}

impl Queue {
    /// Whether convolutions are computed by cuDNN, where it has a kernel.
    ///
    /// # Errors
    /// It is asked for by the environment and is not there.
    pub(crate) fn convolves(&self) -> Result<bool> {
        Ok(!self.by_columns && matches!(found()?, Found::Functions(_)))
    }

    /// What computes convolutions.
    ///
    /// # Errors
    /// The environment asks for cuDNN, which is not there, or for nothing that there is.
    pub(crate) fn convolutions(&self) -> Result<Convolutions> {
        Ok(match found()? {
            Found::Functions(functions) if !self.by_columns => Convolutions::Cudnn(functions.version()),
            Found::Functions(_) => Convolutions::Columns { lacks: None },
            Found::Nothing { lacks } => Convolutions::Columns { lacks: lacks.clone() },
        })
    }

    /// Enqueues a pass of a convolution, from its two inputs in the order that [`Pass`] names them. False where cuDNN is not
    /// used or has no kernel for these sizes: nothing is enqueued then.
    ///
    /// # Errors
    /// Values of other sizes than the geometry's; what cuDNN says.
    pub(crate) fn convolve(
        &self,
        pass: Pass,
        geometry: &Geometry,
        [first, second]: [View<'_>; 2],
        to: &mut Buffer,
    ) -> Result<bool> {
        let Found::Functions(functions) = found()? else { return Ok(false) };
        let sizes =
            pass.operands([geometry.x, geometry.w, geometry.y]).map(|sides| sides.iter().product::<usize>());
        if [first.len(), second.len(), to.view().len()] != sizes {
            bail!("a convolution of {geometry:?} was given {} and {} values", first.len(), second.len())
        }
        let stream = self.device.cuda_stream();
        stream.context().bind_to_thread().w()?;
        let mut devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
        let cudnn = match devices.entry(self.device.id()) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(room) => {
                let handle = functions.made(functions.cudnnCreate).map_err(said)?;
                // SAFETY: handle and stream are of the device whose context is current.
                let status = unsafe { (functions.cudnnSetStream)(handle, stream.cu_stream().cast()) };
                functions.check(status).map_err(said)?;
                room.insert(Cudnn { functions, handle, plans: HashMap::new(), workspace: None })
            }
        };
        let Some(algorithm) = cudnn.algorithm(pass, (*geometry, self.precision))? else { return Ok(false) };
        if self.precision == Precision::Bf16 {
            let (first, second) = (self.rounded(first)?, self.rounded(second)?);
            let sums = self.buffer::<u16>(sizes[2])?;
            cudnn.make_room(self, algorithm.bytes)?;
            let addresses = [&first, &second, &sums].map(|values| values.view().address());
            let work =
                Work { bytes: 2 * sizes.iter().sum::<usize>() as u64, operations: geometry.operations() };
            if !self.timed(pass.kernel(), work, || cudnn.run(algorithm, addresses))? {
                return Ok(false);
            }
            self.launch("f32_of_bf16", Grid::threads(sizes[2]), args![sums.view(), to, sizes[2]])?;
            return Ok(true);
        }
        let (first, second) = (self.aligned(first)?, self.aligned(second)?);
        cudnn.make_room(self, algorithm.bytes)?;
        let addresses = [first.address(), second.address(), to.view().address()];
        let work = Work { bytes: 4 * sizes.iter().sum::<usize>() as u64, operations: geometry.operations() };
        self.timed(pass.kernel(), work, || cudnn.run(algorithm, addresses))
    }

    /// Values in bf16, as their bits.
    fn rounded(&self, values: View<'_>) -> Result<Buffer<u16>> {
        let mut to = self.buffer(values.len())?;
        self.launch("bf16_of_f32", Grid::threads(values.len()), args![values, &mut to, values.len()])?;
        Ok(to)
    }

    /// Values from an address on that is a multiple of 16, as cuDNN's kernels want: a copy if they are not.
    fn aligned<'a>(&self, values: View<'a>) -> Result<Aligned<'a>> {
        if values.address().is_multiple_of(16) {
            return Ok(Aligned::Already(values));
        }
        let copy = self.buffer(values.len())?;
        let stream = self.device.cuda_stream();
        // SAFETY: both hold as many values, and live until the copy is enqueued in the one stream.
        unsafe {
            candle_core::cuda_backend::cudarc::driver::result::memcpy_dtod_async(
                copy.view().address(),
                values.address(),
                values.len() * size_of::<f32>(),
                stream.cu_stream(),
            )
        }
        .w()?;
        Ok(Aligned::Copied(copy))
    }
}

enum Aligned<'a> {
    Already(View<'a>),
    Copied(Buffer),
}

impl Aligned<'_> {
    fn address(&self) -> u64 {
        match self {
            Self::Already(view) => view.address(),
            Self::Copied(buffer) => buffer.view().address(),
        }
    }
}

impl Cudnn {
    /// The pass's algorithm for these sizes, or none where cuDNN has no kernel for it.
    fn algorithm(&mut self, pass: Pass, key: (Geometry, Precision)) -> Result<Option<Algorithm>> {
        if self.plans.len() >= KEPT && !self.plans.contains_key(&key) {
            self.plans.clear();
        }
        let plan = match self.plans.entry(key) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(room) => match Plan::new(self.functions, &key.0, key.1) {
                Ok(plan) => room.insert(plan),
                Err(refused) if refused.is_not_supported() => return Ok(None),
                Err(refused) => return Err(said(refused)),
            },
        };
        match plan.algorithm(self.handle, pass) {
            Ok(algorithm) => Ok(Some(algorithm)),
            Err(refused) if refused.is_not_supported() => Ok(None),
            Err(refused) => Err(said(refused)),
        }
    }

    /// Sees to it that the workspace has this many bytes.
    fn make_room(&mut self, queue: &Queue, bytes: usize) -> Result<()> {
        if self.workspace.as_ref().is_none_or(|held| held.len() < bytes) {
            // The old one is given back first: what is enqueued uses it before then.
            self.workspace = None;
            // SAFETY: algorithms write what they read of it.
            self.workspace = Some(unsafe { queue.device.alloc::<u8>(bytes.max(1)) }?);
        }
        Ok(())
    }

    /// Enqueues the algorithm; false where cuDNN notices only now that it has no kernel.
    fn run(&self, algorithm: Algorithm, addresses: [u64; 3]) -> Result<bool> {
        let (one, zero) = (1f32, 0f32);
        let workspace = self.workspace.as_ref().map_or(0, |held| held.device_ptr(held.stream()).0);
        let [first, second, to] = addresses.map(|address| address as *mut c_void);
        let [of_first, of_second, by, of_result] = algorithm.descriptors;
        // SAFETY: the sizes of all values are the descriptors', as `convolve` has checked, and the workspace has what the
        // algorithm asks for. They live until the work is enqueued in the one stream.
        let status = unsafe {
            (algorithm.run)(
                self.handle,
                (&raw const one).cast(),
                of_first,
                first,
                of_second,
                second,
                by,
                plan::ALGORITHM,
                workspace as *mut c_void,
                algorithm.bytes,
                (&raw const zero).cast(),
                of_result,
                to,
            )
        };
        match self.functions.check(status) {
            Ok(()) => Ok(true),
            Err(refused) if refused.is_not_supported() => Ok(false),
            Err(refused) => Err(said(refused)),
        }
    }
}

fn said(refused: Refused) -> candle_core::Error {
    candle_core::Error::msg(format!("cuDNN refuses a convolution: {refused}"))
}
