//! The operations, a folder each: `mod.rs` has the public function and its checks, `reference.rs` the same in candle's own
//! operations, `cpu.rs` the kernel in f32 on the CPU. A device's kernels go beside them (`cuda.rs`, `NAME.cu`).
pub(crate) mod absolute_difference;
pub(crate) mod activation;
pub(crate) mod adam;
pub(crate) mod attention;
pub(crate) mod augment;
pub(crate) mod batch_norm;
pub(crate) mod contrast;
pub(crate) mod conv2d;
pub(crate) mod conv2d_joint;
pub(crate) mod conv2d_norm;
pub(crate) mod depthwise;
pub(crate) mod gate;
pub(crate) mod gaussian;
pub(crate) mod inner_product;
pub(crate) mod linear;
pub(crate) mod lstm;
pub(crate) mod moments;
pub(crate) mod pool;
pub(crate) mod resize;
pub(crate) mod softmax;
pub(crate) mod softplus;
pub(crate) mod spectral_norm;
pub(crate) mod tanh;
pub(crate) mod upsample;

#[cfg(test)]
mod tests;
