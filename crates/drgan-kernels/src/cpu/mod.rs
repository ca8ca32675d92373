//! What the operations' kernels on the CPU share.
//!
//! | module | what |
//! | --- | --- |
//! | [`slices`] | the values of tensors as slices; copies of rows |
//! | [`shared_slice`] | one result that many threads write, each its own part |
//! | [`scratch`] | memory that a thread keeps for its next task |
//! | [`gemm`] | matrix products on the calling thread |
//! | [`channels`] | an activation after a scale and shift per channel, over whole maps |
//! | [`exp`] | the exponential function and the sigmoid |
//! | [`rows`] | element-wise work, sums and softmax over rows of values |
//! | [`simd`] | vector registers, and the choice of an instruction set |
//! | [`multiversion`] | plain loops, compiled once for each instruction set |
pub(crate) mod channels;
pub(crate) mod exp;
pub(crate) mod gemm;
pub(crate) mod multiversion;
pub(crate) mod rows;
pub(crate) mod scratch;
pub(crate) mod shared_slice;
pub(crate) mod simd;
pub(crate) mod slices;
