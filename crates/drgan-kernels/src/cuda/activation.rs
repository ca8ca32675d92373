//! Activations as arguments of kernels: see activation.cuh.
use super::launch::Arg;
use crate::ops::activation::kind::Activation;

impl Activation {
    /// Kind and slope, as kernels take them.
    pub(crate) fn args(self) -> [Arg<'static>; 2] {
        let (kind, slope) = match self {
            Self::Identity => (0u32, 0.),
            Self::Relu => (1, 0.),
            Self::Relu6 => (2, 0.),
            Self::LeakyRelu(slope) => (3, slope),
            Self::Glu => (4, 0.),
        };
        [Arg::from(kind), Arg::from(slope as f32)]
    }
}
