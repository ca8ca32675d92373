//! Weights packed once for the f32 (or bf16) kernels on the CPU.
use super::epilogue::Epilogue;
use super::{select, winograd};
use crate::cpu::simd::Isa;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::packed_spec::PackedSpec;
use crate::ops::conv2d::shape::ConvShape;
#[cfg(target_arch = "x86_64")]
use crate::precision::Precision;
use candle_core::Result;

/// Side of the map that the algorithm is selected for, when the maps to come are unknown: large enough for any kernel.
const SIDE: usize = 64;

/// A weight as its algorithm reads it, times its scale.
pub(crate) enum PackedWeight {
    /// Kernels transformed for Winograd or upsampled convolution.
    Winograd(winograd::Transformed),
    /// The weight as it was given.
    Plain(Vec<f32>),
    /// The weight in bf16, by tiles.
    #[cfg(target_arch = "x86_64")]
    Amx(super::amx::Weights),
}

impl PackedWeight {
    /// Packs `weight` of `dims` `(O, C, kh, kw)`, each output channel times its `scale`.
    pub(crate) fn new(
        weight: Vec<f32>,
        scale: Option<&[f32]>,
        dims: (usize, usize, usize, usize),
        spec: &PackedSpec,
    ) -> Result<Self> {
        let shape = ConvShape::of_sides((1, SIDE, SIDE), dims, spec.conv, spec.upsample)?;
        #[cfg(target_arch = "x86_64")]
        if spec.precision == Precision::Bf16 && super::amx::available() && super::amx::takes(&shape) {
            return Ok(Self::Amx(super::amx::Weights::new(&shape, &scaled(weight, scale))));
        }
        Ok(if select::is_winograd(&shape) {
            let gated = spec.act == Activation::Glu;
            Self::Winograd(winograd::transform(Isa::best(), &shape, &weight, scale, gated))
        } else {
            Self::Plain(scaled(weight, scale))
        })
    }

    /// `act(conv(x) + shift) + residual` for a convolution of these sizes.
    pub(crate) fn forward(
        &self,
        shape: &ConvShape,
        x: &[f32],
        shift: Option<&[f32]>,
        act: Activation,
        residual: Option<&[f32]>,
    ) -> Vec<f32> {
        let epilogue = Epilogue { shift, act, residual };
        match self {
            Self::Winograd(filters) => winograd::forward(Isa::best(), shape, x, filters, &epilogue),
            Self::Plain(weight) => select::forward(shape, x, weight, &epilogue),
            #[cfg(target_arch = "x86_64")]
            Self::Amx(weights) => super::amx::forward(shape, weights, x, &epilogue),
        }
    }
}

/// Every output channel's weights times its scale.
fn scaled(mut weight: Vec<f32>, scale: Option<&[f32]>) -> Vec<f32> {
    if let Some(scale) = scale {
        let each = weight.len() / scale.len().max(1);
        for (row, scale) in weight.chunks_exact_mut(each.max(1)).zip(scale) {
            row.iter_mut().for_each(|w| *w *= scale);
        }
    }
    weight
}
