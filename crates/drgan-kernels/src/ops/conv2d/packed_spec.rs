//! What a caller says of a packed convolution.
use super::shape::Conv2dSpec;
use crate::ops::activation::kind::Activation;

/// What a [`PackedConv`](crate::PackedConv) computes with; its input and output are f32 either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Factors rounded to bfloat16, sums in f32, on processors with AMX; f32 on others ([`Precision::is_native`]).
    Bf16,
}

impl Precision {
    /// Whether this machine computes in it, rather than in f32 in its place.
    pub fn is_native(self) -> bool {
        match self {
            Self::F32 => true,
            #[cfg(target_arch = "x86_64")]
            Self::Bf16 => super::cpu::amx::available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Bf16 => false,
        }
    }
}

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
    /// The type that products are computed in.
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
