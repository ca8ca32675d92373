//! Differentiable tensor operations that DR-GAN needs and candle lacks, or has too slowly.
//!
//! One operation a file. Each has a plain-tensor *reference* (candle operations whose gradients are right, any
//! float type, any device) and, on the CPU in f32, a fast path with the same signature. The reference is the
//! oracle of the fast path's tests; its own gradients are held against finite differences in f64.
//!
//! | here | why not candle's own (0.11.1) |
//! | --- | --- |
//! | [`conv2d`], [`conv2d_act`], [`joint_conv2d`], [`depthwise_conv2d`] | several times slower than PyTorch, and computes gradients of constants |
//! | [`PackedConv`] | weights transformed once, epilogue included, bf16 where the processor can: inference |
//! | [`up_conv2d`], [`upsample_nearest2x`] | `upsample_nearest2d`'s backward overwrites an accumulated gradient |
//! | [`max_pool2d`], [`avg_pool2d`] | no backward unless kernel = stride; 2x2 max's is a quarter of the truth |
//! | [`resize_bilinear`], [`resize_area`] | `upsample_bilinear2d` has no backward |
//! | [`batch_norm`], [`conv2d_batch_norm`], [`scale_shift`], [`activate`] | one pass instead of a dozen temporaries; `relu'(0)` is 1 there |
//! | [`gate`], [`word_attention`], [`moments`], [`spectral_norm`] | the same; sums without temporaries of a map's size |
//! | [`linear`] | the weight's gradient in the weight's own order, from several threads |
#![allow(
    unsafe_code,
    reason = "invariant 8: unsafe lives in this crate only; each block states what it relies on"
)]
mod cpu;
mod ops;
mod runtime;

pub use ops::activation::{Activation, activate};
pub use ops::attention::word_attention;
pub use ops::batch_norm::{Normalized, batch_norm, scale_shift};
pub use ops::conv2d::{Conv2dSpec, PackedConv, PackedSpec, Padding, Precision, conv2d, conv2d_act};
pub use ops::conv2d_joint::joint_conv2d;
pub use ops::conv2d_norm::{ConvNormSpec, conv2d_batch_norm};
pub use ops::depthwise::depthwise_conv2d;
pub use ops::gate::gate;
pub use ops::linear::linear;
pub use ops::moments::moments;
pub use ops::pool::{avg_pool2d, max_pool2d};
pub use ops::resize::{resize_area, resize_bilinear};
pub use ops::spectral_norm::{power_iteration, spectral_norm};
pub use ops::upsample::{up_conv2d, upsample_nearest2x};
pub use runtime::{CachingAllocator, limit_candle_threads};

/// What an optimizer does to every parameter after a step.
pub mod optimize {
    pub use crate::ops::adam::{AdamStep, adam, average, sum_of_squares};
}

/// The reference implementations: the oracles of the fast paths' tests, and what runs on other types and devices.
pub mod reference {
    pub use crate::ops::activation::reference as activate;
    pub use crate::ops::attention::reference as word_attention;
    pub use crate::ops::batch_norm::{
        reference_batch_norm as batch_norm, reference_scale_shift as scale_shift,
    };
    pub use crate::ops::conv2d::reference::conv2d;
    pub use crate::ops::conv2d_joint::reference_joint as joint_conv2d;
    pub use crate::ops::depthwise::reference as depthwise_conv2d;
    pub use crate::ops::gate::reference as gate;
    pub use crate::ops::linear::reference as linear;
    pub use crate::ops::moments::reference as moments;
    pub use crate::ops::pool::{reference_avg as avg_pool2d, reference_max as max_pool2d};
    pub use crate::ops::resize::{reference_area as resize_area, reference_bilinear as resize_bilinear};
    pub use crate::ops::spectral_norm::{reference as spectral_norm, reference_iteration as power_iteration};
    pub use crate::ops::upsample::reference as up_conv2d;
}

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
