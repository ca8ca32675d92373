//! What a caller says of a packed convolution.
use super::shape::Conv2dSpec;
use crate::ops::activation::kind::Activation;
use crate::precision::Precision;

/// What is known of a [`PackedConv`](crate::PackedConv) beside its weights.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PackedSpec {
    /// Stride and padding, of the upsampled map if it is upsampled.
    pub conv: Conv2dSpec,
    /// Whether the input is upsampled by two first (nearest neighbour), as by [`up_conv2d`](crate::up_conv2d).
    pub upsample: bool,
    /// The activation after the convolution.
    pub act: Activation,
    /// The type of the products' factors. The layer's input and output are f32 whatever it is.
    pub precision: Precision,
}

impl PackedSpec {
    /// `act` after `conv`, whose input is not upsampled, in f32.
    pub fn new(conv: Conv2dSpec, act: Activation) -> Self {
        Self { conv, upsample: false, act, precision: Precision::F32 }
    }

    /// These settings, with the input upsampled by two first or not.
    #[must_use]
    pub fn with_upsample(self, upsample: bool) -> Self {
        Self { upsample, ..self }
    }

    /// These settings with products in another precision.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }
}
