use crate::Result;
use crate::ops::{self, Activation, Conv2dSpec};
use candle_core::Tensor;
use candle_nn::VarBuilder;

/// A convolution with its weights: `weight` `(O, C, kh, kw)`, `bias` `(O,)` if asked for.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    spec: Conv2dSpec,
}

impl Conv2d {
    /// Square kernel, no bias, `stride`, `padding` on all sides.
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

    /// 3x3, stride 1, same size.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn same3x3(c_in: usize, c_out: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Self::new((c_in, c_out), 3, 1, 1, vb)
    }

    /// 1x1: a linear map of channels.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn pointwise(c_in: usize, c_out: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Self::new((c_in, c_out), 1, 1, 0, vb)
    }

    /// Any kernel, e.g. Inception's 1x7.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn with_kernel(
        (c_in, c_out): (usize, usize),
        (kh, kw): (usize, usize),
        spec: Conv2dSpec,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        Ok(Self { weight: vb.get_with_hints((c_out, c_in, kh, kw), "weight", INIT)?, bias: None, spec })
    }

    /// With `bias`, looked up under the same prefix.
    ///
    /// # Errors
    /// The parameter is missing or of another shape.
    pub fn and_bias(mut self, vb: VarBuilder<'_>) -> Result<Self> {
        self.bias = Some(vb.get_with_hints(self.weight.dim(0)?, "bias", candle_nn::Init::Const(0.))?);
        Ok(self)
    }

    /// `(O, C, kh, kw)`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `(O,)`, if it has one.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// Stride and padding.
    pub fn spec(&self) -> Conv2dSpec {
        self.spec
    }

    /// The convolution of `x` `(B, C, H, W)`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(ops::conv2d(x, &self.weight, self.bias.as_ref(), self.spec)?)
    }

    /// `act(forward(x))`.
    ///
    /// # Errors
    /// `x` does not fit.
    pub fn forward_act(&self, x: &Tensor, act: Activation) -> Result<Tensor> {
        Ok(ops::conv2d_act(x, &self.weight, self.bias.as_ref(), act, self.spec)?)
    }
}

/// A placeholder scale: [`crate::init::gan`] gives GAN networks theirs.
pub(crate) const INIT: candle_nn::Init = candle_nn::init::DEFAULT_KAIMING_NORMAL;
