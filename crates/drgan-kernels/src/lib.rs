//! Differentiable tensor operations that DR-GAN needs and candle lacks, or has too slowly.
//!
//! One operation a file. Each has a plain-tensor *reference* (candle operations whose gradients are right, any
//! float type, any device) and, on the CPU in f32, a fast path with the same signature. The reference is the
//! oracle of the fast path's tests; its own gradients are held against finite differences in f64.
//!
//! | here | why not candle's own (0.11.1) |
//! | --- | --- |
//! | [`conv2d`], [`depthwise_conv2d`] | several times slower than PyTorch, and computes gradients of constants |
//! | [`PackedConv`] | weights transformed once, epilogue included, bf16 where the processor can: inference |
//! | [`up_conv2d`], [`upsample_nearest2x`] | `upsample_nearest2d`'s backward overwrites an accumulated gradient |
//! | [`max_pool2d`], [`avg_pool2d`] | no backward unless kernel = stride; 2x2 max's is a quarter of the truth |
//! | [`resize_bilinear`], [`resize_area`] | `upsample_bilinear2d` has no backward |
//! | [`batch_norm`], [`scale_shift`], [`activate`] | one pass instead of a dozen temporaries; `relu'(0)` is 1 there |
#![allow(
    unsafe_code,
    reason = "invariant 8: unsafe lives in this crate only; each block states what it relies on"
)]
mod activation;
mod conv2d;
mod cpu;
mod depthwise;
mod norm_act;
mod planes;
mod pool;
mod resize;
mod rows;
mod simd;
mod threads;
mod up_conv2d;

pub use activation::{Activation, activate};
pub use conv2d::{Conv2dSpec, PackedConv, PackedSpec, Padding, Precision, conv2d};
pub use depthwise::depthwise_conv2d;
pub use norm_act::{Normalized, batch_norm, scale_shift};
pub use pool::{avg_pool2d, max_pool2d};
pub use resize::{resize_area, resize_bilinear};
pub use threads::keep_candle_on_one_thread;
pub use up_conv2d::{up_conv2d, upsample_nearest2x};

/// The plain-tensor forms: the oracles of the fast paths' tests, and what runs on other types and devices.
pub mod reference {
    pub use crate::activation::reference as activate;
    pub use crate::conv2d::reference as conv2d;
    pub use crate::depthwise::reference as depthwise_conv2d;
    pub use crate::norm_act::{reference_batch_norm as batch_norm, reference_scale_shift as scale_shift};
    pub use crate::pool::{reference_avg as avg_pool2d, reference_max as max_pool2d};
    pub use crate::up_conv2d::reference as up_conv2d;
}

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
