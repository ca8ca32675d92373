//! Two-dimensional convolution.
//!
//! `y[b, o, i, j] = bias[o] + sum over c, k, l of weight[o, c, k, l] x[b, c, stride i + k - padding, stride j + l - padding]`,
//! with zeros outside the map.
//!
//! ```
//! use drgan_tensor::prelude::*;
//!
//! let store = ParamStore::seeded(1);
//! let conv = nn::Conv2d::biased((3, 8), 4, 2, 1, store.builder(DType::F32, &Device::Cpu))?;
//! let x = Tensor::zeros((2, 3, 16, 16), DType::F32, &Device::Cpu)?;
//! assert_eq!(conv.forward(&x)?.dims(), [2, 8, 8, 8]);
//! assert_eq!(store.num_params(), 8 * 3 * 4 * 4 + 8);
//! # Ok::<(), drgan_tensor::Error>(())
//! ```
use crate::ops::{self, Activation, Conv2dSpec};
use crate::{Hint, Result, VarBuilder};
use candle_core::Tensor;
use candle_nn::Init;

/// A convolution with its weights: `weight` `(O, C, kh, kw)`, and `bias` `(O,)` if it has one.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    spec: Conv2dSpec,
}

impl Conv2d {
    /// A square kernel, `stride`, `padding` on all sides, no bias.
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
        Self::with_kernel((c_in, c_out), (kernel, kernel), Conv2dSpec::new(stride, padding), vb)
    }

    /// 3x3, stride 1, padding 1, no bias: the map keeps its size.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn same3x3(c_in: usize, c_out: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Self::new((c_in, c_out), 3, 1, 1, vb)
    }

    /// 1x1, stride 1, no bias: a linear map of the channels of each pixel.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn pointwise(c_in: usize, c_out: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Self::new((c_in, c_out), 1, 1, 0, vb)
    }

    /// A kernel of `kh` by `kw` (Inception has 1x7) without a bias.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn with_kernel(
        (c_in, c_out): (usize, usize),
        (kh, kw): (usize, usize),
        spec: Conv2dSpec,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints((c_out, c_in, kh, kw), "weight", Hint::param(INIT))?,
            bias: None,
            spec,
        })
    }

    /// As [`Conv2d::new`], with a bias.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn biased(
        (c_in, c_out): (usize, usize),
        kernel: usize,
        stride: usize,
        padding: usize,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        let bias = vb.get_with_hints(c_out, "bias", Hint::param(Init::Const(0.)))?;
        Ok(Self { bias: Some(bias), ..Self::new((c_in, c_out), kernel, stride, padding, vb)? })
    }

    /// The weight, `(O, C, kh, kw)`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, `(O,)`, if there is one.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// Stride and padding.
    pub fn spec(&self) -> Conv2dSpec {
        self.spec
    }

    /// The convolution of `x` `(B, C, H, W)`: `(B, O, H', W')`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(ops::conv2d(x, &self.weight, self.bias.as_ref(), self.spec)?)
    }

    /// `act(forward(x))` in one operation, for `x` `(B, C, H, W)`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward_act(&self, x: &Tensor, act: Activation) -> Result<Tensor> {
        Ok(ops::conv2d_act(x, &self.weight, self.bias.as_ref(), act, self.spec)?)
    }
}

/// Initial weights of convolutions and linear layers; [`crate::init::gan`] replaces those of the GAN's networks.
pub(crate) const INIT: Init = candle_nn::init::DEFAULT_KAIMING_NORMAL;
