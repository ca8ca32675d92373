//! Convolution with spectral normalization.
//!
//! `W = weight_bar / sigma`, `sigma = u^T M v`, where `M` is the weight as a matrix `(O, C k k)` and `u`, `v` are the vectors
//! of a power iteration: one step in each training pass.
//!
//! ```
//! use drgan_tensor::ops::Activation;
//! use drgan_tensor::prelude::*;
//!
//! let store = ParamStore::seeded(1);
//! let conv = nn::SpectralConv2d::new((3, 8), 4, 2, 1, store.builder(DType::F32, &Device::Cpu))?;
//! let x = Tensor::zeros((2, 3, 16, 16), DType::F32, &Device::Cpu)?;
//! let y = conv.forward(&x, Activation::LeakyRelu(nn::LEAKY_RELU_SLOPE), &Ctx::new(Mode::Train, 0))?;
//! assert_eq!(y.dims(), [2, 8, 8, 8]);
//! # Ok::<(), drgan_tensor::Error>(())
//! ```
use super::conv;
use crate::ops::{self, Activation, Conv2dSpec};
use crate::{Ctx, Hint, Result, VarBuilder};
use candle_core::{Tensor, Var};
use candle_nn::Init;

/// A convolution whose weight is divided by its largest singular value, found by one power iteration per training pass.
///
/// Parameters: `weight_bar` `(O, C, k, k)`, `bias` `(O,)`; buffers: `weight_u` `(O,)`, `weight_v` `(C k k,)`; the names are
/// the released code's. The gradient of `sigma = u^T M v` flows through the weight alone. Evaluation and frozen passes use
/// `u` and `v` as they stand (docs/divergences.md, spectral norm).
#[derive(Clone, Debug)]
pub struct SpectralConv2d {
    weight_bar: Tensor,
    bias: Tensor,
    u: Tensor,
    v: Tensor,
    spec: Conv2dSpec,
}

impl SpectralConv2d {
    /// A layer with a square kernel and a bias.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(
        (c_in, c_out): (usize, usize),
        kernel: usize,
        stride: usize,
        padding: usize,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        Ok(Self {
            weight_bar: vb.get_with_hints(
                (c_out, c_in, kernel, kernel),
                "weight_bar",
                Hint::param(conv::INIT),
            )?,
            bias: vb.get_with_hints(c_out, "bias", Hint::param(Init::Const(0.)))?,
            u: vb.get_with_hints(c_out, "weight_u", Hint::buffer(Init::Randn { mean: 0., stdev: 1. }))?,
            v: vb.get_with_hints(
                c_in * kernel * kernel,
                "weight_v",
                Hint::buffer(Init::Randn { mean: 0., stdev: 1. }),
            )?,
            spec: Conv2dSpec::new(stride, padding),
        })
    }

    /// `act(conv(x) + bias)` with the weight `weight_bar / sigma`, for `x` `(B, C, H, W)`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor, act: Activation, ctx: &Ctx) -> Result<Tensor> {
        Ok(ops::conv2d_act(x, &self.weight(ctx)?, Some(&self.bias), act, self.spec)?)
    }

    /// [`SpectralConv2d::forward`] of `x` `(B, C, H, W)` with `vector` `(B, D)` appended to the channels of every pixel: the
    /// weight has C + D channels in.
    ///
    /// # Errors
    /// `x` or `vector` does not fit.
    pub fn forward_joint(&self, x: &Tensor, vector: &Tensor, act: Activation, ctx: &Ctx) -> Result<Tensor> {
        Ok(ops::joint_conv2d(x, vector, &self.weight(ctx)?, &self.bias, act, self.spec)?)
    }

    fn weight(&self, ctx: &Ctx) -> Result<Tensor> {
        if ctx.mode.updates_running_stats() && self.u.is_variable() {
            let (u, v) = (Var::from_tensor(&self.u)?, Var::from_tensor(&self.v)?);
            return Ok(ops::spectral_norm_step(&self.weight_bar, &u, &v)?);
        }
        Ok(ops::spectral_norm(&self.weight_bar, &self.u, &self.v)?)
    }
}
