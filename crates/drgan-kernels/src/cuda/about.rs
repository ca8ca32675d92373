//! What is told about a device and its kernels.

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
