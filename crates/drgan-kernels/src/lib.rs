//! Differentiable tensor operations that DR-GAN needs and candle lacks, or has too slowly.
//!
//! One operation per folder of `ops`. Each has a *reference* (candle operations whose gradients are right, any float type,
//! any device) and, on the CPU in f32, a kernel with the same signature. The reference is the oracle of the kernel's tests;
//! its own gradients are checked against finite differences in f64. How kernels compute: docs/kernels.md.
//!
//! | here | why not candle's own (0.11.1) |
//! | --- | --- |
//! | [`conv2d`], [`conv2d_act`], [`joint_conv2d`], [`depthwise_conv2d`] | several times slower than PyTorch, and computes gradients of constants |
//! | [`PackedConv`] | weights transformed once, epilogue included, bf16 where the processor can: inference |
//! | [`up_conv2d`], [`upsample_nearest2x`] | `upsample_nearest2d`'s backward overwrites an accumulated gradient |
//! | [`max_pool2d`], [`avg_pool2d`] | no backward unless kernel = stride; 2x2 max's is a quarter of the truth |
//! | [`resize_bilinear`], [`resize_area`] | `upsample_bilinear2d` has no backward |
//! | [`batch_norm`], [`conv2d_batch_norm`], [`scale_shift`], [`activate`] | one pass instead of a dozen temporaries; `relu'(0)` is 1 there |
//! | [`update_running_statistics`] | both in place, in one launch on a CUDA device |
//! | [`augment`] | color, place and cover of an image in one pass, with its gradient |
//! | [`gate`], [`word_attention`], [`moments`], [`spectral_norm`] | the same; sums without temporaries of a map's size |
//! | [`lstm`] | on a CUDA device two launches a step, and one node in the graph |
//! | [`softplus_means`] | right however large the logits, where candle's `log` and `exp` overflow; on a CUDA device one launch |
//! | [`mean_absolute_difference`], [`moments_contrast`], [`gaussian_kl`], [`gaussian_sample`], [`halves`], [`softmax`], [`log_softmax`], [`tanh`], [`inner_product`], [`mean_pixels`], [`activate_biased`] | on a CUDA device one launch each, and one node in the graph |
//! | [`backward`] | on a CUDA device a variable's first gradient is not added to zeros |
//! | [`linear`] | the weight's gradient in the weight's own order, from several threads |
//! | [`adam_update_all`], [`ema_update_all`], [`global_norm`] | one pass over parameters and moments, in place; one launch on a CUDA device |
#![allow(
    unsafe_code,
    reason = "invariant 8: unsafe lives in this crate only; each block states what it relies on"
)]
// tests/common belongs to unit tests too, and names this crate.
#[cfg(test)]
extern crate self as drgan_kernels;

mod convolutions;
mod cpu;
mod cuda;
mod device;
mod dispatch;
mod gradients;
mod node;
mod op;
mod ops;
mod precision;
mod runtime;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod upload;

pub use convolutions::Convolutions;
pub use device::{NoCuda, convolutions, free_memory, open_cuda, open_cuda_with};
pub use dispatch::in_one_queue;
pub use gradients::backward;
pub use ops::absolute_difference::mean_absolute_difference;
pub use ops::activation::{Activation, activate, activate_biased};
pub use ops::adam::{
    AdamStep, AdamUpdate, adam_update, adam_update_all, ema_update, ema_update_all, global_norm,
    read_scalars, sum_of_squares,
};
pub use ops::attention::word_attention;
pub use ops::augment::{Augmentation, Augmentations, augment};
pub use ops::batch_norm::{Normalized, batch_norm, scale_shift, update_running_statistics};
pub use ops::contrast::moments_contrast;
pub use ops::conv2d::{Conv2dSpec, PackedConv, PackedSpec, Padding, conv2d, conv2d_act};
pub use ops::conv2d_joint::joint_conv2d;
pub use ops::conv2d_norm::{ConvNormSpec, conv2d_batch_norm};
pub use ops::depthwise::depthwise_conv2d;
pub use ops::gate::gate;
pub use ops::gaussian::{gaussian_kl, gaussian_sample, halves};
pub use ops::inner_product::inner_product;
pub use ops::linear::linear;
pub use ops::lstm::lstm;
pub use ops::moments::moments;
pub use ops::pool::{avg_pool2d, max_pool2d, mean_pixels};
pub use ops::resize::{resize_area, resize_bilinear};
pub use ops::softmax::{log_softmax, softmax};
pub use ops::softplus::softplus_means;
pub use ops::spectral_norm::{power_iteration, spectral_norm, spectral_norm_step};
pub use ops::tanh::tanh;
pub use ops::upsample::{up_conv2d, upsample_nearest2x};
pub use precision::{Precision, UnknownPrecision};
pub use runtime::{CachingAllocator, limit_candle_threads};
pub use upload::{Upload, Uploader};

/// The reference implementations: the oracles of the kernels' tests, and what runs on other types and devices.
pub mod reference {
    pub use crate::ops::absolute_difference::reference::mean_absolute_difference;
    pub use crate::ops::activation::reference::{activate, activate_biased};
    pub use crate::ops::adam::reference::{adam_update, ema_update, sum_of_squares};
    pub use crate::ops::attention::reference::word_attention;
    pub use crate::ops::augment::reference::augment;
    pub use crate::ops::batch_norm::reference::{batch_norm, scale_shift, update_running_statistics};
    pub use crate::ops::contrast::reference::moments_contrast;
    pub use crate::ops::conv2d::reference::{conv2d, conv2d_act};
    pub use crate::ops::conv2d_joint::reference::joint_conv2d;
    pub use crate::ops::conv2d_norm::reference::conv2d_batch_norm;
    pub use crate::ops::depthwise::reference::depthwise_conv2d;
    pub use crate::ops::gate::reference::gate;
    pub use crate::ops::gaussian::reference::{gaussian_kl, gaussian_sample, halves};
    pub use crate::ops::inner_product::reference::inner_product;
    pub use crate::ops::linear::reference::linear;
    pub use crate::ops::lstm::reference::lstm;
    pub use crate::ops::moments::reference::moments;
    pub use crate::ops::pool::reference::{avg_pool2d, max_pool2d, mean_pixels};
    pub use crate::ops::resize::reference::{resize_area, resize_bilinear};
    pub use crate::ops::softmax::reference::{log_softmax, softmax};
    pub use crate::ops::softplus::reference::softplus_means;
    pub use crate::ops::spectral_norm::reference::{power_iteration, spectral_norm, spectral_norm_step};
    pub use crate::ops::tanh::reference::tanh;
    pub use crate::ops::upsample::reference::up_conv2d;
}

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
