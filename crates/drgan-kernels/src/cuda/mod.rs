//! What the kernels for CUDA devices share: memory, launches, and how a kernel becomes a node of candle's graph.
//!
//! Without the feature `cuda` the same names are there and no value of them can be made ([`absent`]), so that operations are
//! compiled one way.
//!
//! Kernels are plain CUDA C++ in `src/ops/*/NAME.cu`, compiled to PTX by build.rs. A launch checks number and kind of its
//! arguments against the kernel's; that a kernel stays within the sizes that it is given is checked on the emulated device
//! (docs/cuda.md), where memory that is not a tensor's cannot be touched.
#[cfg(any(test, feature = "testing"))]
pub(crate) mod about;
#[cfg(not(feature = "cuda"))]
mod absent;
mod activation;
#[cfg(feature = "cuda")]
mod blas;
pub(crate) mod channels;
pub(crate) mod convolution;
#[cfg(all(feature = "cuda", feature = "cudnn"))]
mod cudnn;
#[cfg(all(feature = "cuda", any(test, feature = "testing")))]
mod facts;
#[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "read where work is enqueued"))]
pub(crate) mod launch;
pub(crate) mod op;
#[cfg(feature = "cuda")]
mod present;
#[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "read where work is enqueued"))]
pub(crate) mod product;
#[cfg(feature = "cuda")]
mod profile;
pub(crate) mod sums;
#[cfg(feature = "cuda")]
mod upload;

#[cfg(not(feature = "cuda"))]
pub(crate) use absent::{Buffer, InFlight, Queue, Uploads, Value, View};
#[cfg(all(not(feature = "cuda"), any(test, feature = "testing")))]
pub(crate) use absent::{convolve_by_columns, kernels, launches};
#[cfg(all(feature = "cuda", any(test, feature = "testing")))]
pub(crate) use facts::launches;
#[cfg(feature = "cuda")]
pub(crate) use present::{Buffer, Queue, Value, View, compute_in};
#[cfg(all(feature = "cuda", any(test, feature = "testing")))]
pub(crate) use present::{convolve_by_columns, kernels};
#[cfg(feature = "cuda")]
pub(crate) use upload::{InFlight, Uploads};
