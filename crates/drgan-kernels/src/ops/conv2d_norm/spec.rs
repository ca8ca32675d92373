//! What a caller says of a normalized convolution.
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::shape::Conv2dSpec;

/// What is known of a normalized convolution beside its parameters.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConvNormSpec {
    /// Stride and padding of the convolution; not read if the input is upsampled (stride 1, padding 1 then).
    pub conv: Conv2dSpec,
    /// Whether the input is upsampled by two first, as by [`up_conv2d`](crate::up_conv2d).
    pub upsample: bool,
    /// Added to the variance before its root is taken.
    pub eps: f64,
    /// The activation after the normalization.
    pub act: Activation,
}

impl ConvNormSpec {
    /// `act` after the normalization of `conv`, whose input is not upsampled; `eps` is 1e-5.
    pub fn new(conv: Conv2dSpec, act: Activation) -> Self {
        Self { conv, upsample: false, eps: 1e-5, act }
    }

    /// The same, with the input upsampled by two first or not.
    #[must_use]
    pub fn with_upsample(self, upsample: bool) -> Self {
        Self { upsample, ..self }
    }

    /// The same with another number added to the variance.
    #[must_use]
    pub fn with_eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }
}
