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
mod activation;
mod attention;
mod conv2d;
mod conv_norm;
mod cpu;
mod depthwise;
mod gate;
mod linear;
mod moments;
mod norm_act;
pub mod optimize;
mod planes;
mod pool;
mod recycle;
mod resize;
mod rows;
mod simd;
mod spectral;
mod threads;
mod up_conv2d;

pub use activation::{Activation, activate};
pub use attention::word_attention;
pub use conv_norm::{ConvNormSpec, conv2d_batch_norm};
pub use conv2d::{Conv2dSpec, PackedConv, PackedSpec, Padding, Precision, conv2d, conv2d_act, joint_conv2d};
pub use depthwise::depthwise_conv2d;
pub use gate::gate;
pub use linear::linear;
pub use moments::moments;
pub use norm_act::{Normalized, batch_norm, scale_shift};
pub use pool::{avg_pool2d, max_pool2d};
pub use recycle::Recycle;
pub use resize::{resize_area, resize_bilinear};
pub use spectral::{power_iteration, spectral_norm};
pub use threads::keep_candle_on_one_thread;
pub use up_conv2d::{up_conv2d, upsample_nearest2x};

/// The plain-tensor forms: the oracles of the fast paths' tests, and what runs on other types and devices.
pub mod reference {
    pub use crate::activation::reference as activate;
    pub use crate::attention::reference as word_attention;
    pub use crate::conv2d::{reference as conv2d, reference_joint as joint_conv2d};
    pub use crate::depthwise::reference as depthwise_conv2d;
    pub use crate::gate::reference as gate;
    pub use crate::linear::reference as linear;
    pub use crate::moments::reference as moments;
    pub use crate::norm_act::{reference_batch_norm as batch_norm, reference_scale_shift as scale_shift};
    pub use crate::pool::{reference_avg as avg_pool2d, reference_max as max_pool2d};
    pub use crate::resize::{reference_area as resize_area, reference_bilinear as resize_bilinear};
    pub use crate::spectral::{reference as spectral_norm, reference_iteration as power_iteration};
    pub use crate::up_conv2d::reference as up_conv2d;
}

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
