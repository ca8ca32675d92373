use super::cpu::{select, winograd};
use super::shape::Conv2dSpec;
use crate::cpu::simd::Isa;
use crate::cpu::{is_fast, with_values};
use crate::ops::activation::Activation;
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::shape::ConvShape;
use candle_core::{Device, Result, Tensor, bail};

/// What a [`PackedConv`] computes with; its input and output are f32 either way.
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

/// What is known of a [`PackedConv`] beside its weights.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PackedSpec {
    /// Stride and padding, of the upsampled map if it is upsampled.
    pub conv: Conv2dSpec,
    /// Whether the input is upsampled by two first (nearest neighbour), as by [`up_conv2d`](crate::up_conv2d).
    pub upsample: bool,
    /// The activation after the convolution.
    pub act: Activation,
    /// What products are computed in.
    pub precision: Precision,
}

impl PackedSpec {
    /// `act` after `conv`, whose input is not upsampled, in f32.
    pub fn new(conv: Conv2dSpec, act: Activation) -> Self {
        Self { conv, upsample: false, act, precision: Precision::F32 }
    }

    /// The same, with the input upsampled by two first or not.
    #[must_use]
    pub fn with_upsample(self, upsample: bool) -> Self {
        Self { upsample, ..self }
    }

    /// The same with products in another precision.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }
}

/// A convolution for inference, with everything that follows it: `act(scale_o conv(x)_o + shift_o) + residual`.
///
/// The scale is folded into the weights and they are brought into the form that products read, once. Nothing keeps a
/// gradient, and later changes of the weights it was made of do not show.
pub struct PackedConv {
    way: Way,
    /// As it was given; the sizes of the map are missing.
    dims: (usize, usize, usize, usize),
    shift: Option<Vec<f32>>,
    spec: PackedSpec,
}

enum Way {
    Winograd(winograd::Transformed),
    /// The weight, scaled.
    Plain(Vec<f32>),
    #[cfg(target_arch = "x86_64")]
    Amx(super::cpu::amx::Weights),
}

impl std::fmt::Debug for PackedConv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackedConv")
            .field("dims", &self.dims)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl PackedConv {
    /// `weight` `(O, C, kh, kw)`, `scale` and `shift` `(O,)`.
    ///
    /// # Errors
    /// Anything that is not f32 on the CPU; shapes that do not fit; a gated activation of an odd O; `upsample` without a 3x3
    /// kernel of stride 1 and padding 1.
    pub fn new(
        weight: &Tensor,
        scale: Option<&Tensor>,
        shift: Option<&Tensor>,
        spec: PackedSpec,
    ) -> Result<Self> {
        let dims @ (o, c, kh, kw) = weight.dims4()?;
        let values = |name: &str, t: &Tensor, len: usize| -> Result<Vec<f32>> {
            if !is_fast(t) || t.elem_count() != len {
                bail!("PackedConv: {name}: expected {len} f32 values on the CPU, got {t:?}")
            }
            t.detach().flatten_all()?.to_vec1()
        };
        if spec.act == Activation::Glu && o % 2 != 0 {
            bail!("PackedConv: weight: a gated linear unit needs an even number of channels, got {o}")
        }
        if spec.upsample && ((kh, kw) != (3, 3) || spec.conv != Conv2dSpec::new(1, 1)) {
            bail!(
                "PackedConv: a doubled map is convolved 3x3 with stride 1 and padding 1, got {kh}x{kw}, {spec:?}"
            )
        }
        let weight = values("weight", weight, o * c * kh * kw)?;
        let scale = scale.map(|s| values("scale", s, o)).transpose()?;
        let shift = shift.map(|s| values("shift", s, o)).transpose()?;
        let g = of_sides(1, (SIDE, SIDE), dims, &spec)?;
        #[cfg(target_arch = "x86_64")]
        if spec.precision == Precision::Bf16 && super::cpu::amx::available() && super::cpu::amx::takes(&g) {
            let weights = super::cpu::amx::Weights::new(&g, &scaled(weight, scale.as_deref()));
            return Ok(Self { way: Way::Amx(weights), dims, shift, spec });
        }
        let way = if select::is_winograd(&g) {
            let gated = spec.act == Activation::Glu;
            Way::Winograd(winograd::transform(Isa::best(), &g, &weight, scale.as_deref(), gated))
        } else {
            Way::Plain(scaled(weight, scale.as_deref()))
        };
        Ok(Self { way, dims, shift, spec })
    }

    /// The layer's output for `x`; `residual`, if any, is added behind the activation.
    ///
    /// # Shapes
    /// `x` `(B, C, H, W)`; the result `(B, O', H', W')` and so is `residual`, with `O' = O / 2` if gated.
    ///
    /// # Errors
    /// Anything that is not f32 on the CPU; shapes that do not fit.
    pub fn forward(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let g = self.geometry(x)?;
        let shape = (g.b, self.spec.act.channels_out(g.o), g.oh, g.ow);
        if let Some(residual) = residual
            && residual.dims4()? != shape
        {
            bail!("PackedConv: residual: expected {shape:?}, got {:?}", residual.dims())
        }
        let x = x.detach().contiguous()?;
        let y = match residual {
            Some(residual) => {
                let residual = residual.detach().contiguous()?;
                with_values([&x, &residual], |[x, residual]| Ok(self.run(&g, x, Some(residual))))?
            }
            None => with_values([&x], |[x]| Ok(self.run(&g, x, None)))?,
        };
        Tensor::from_vec(y, shape, &Device::Cpu)
    }

    fn geometry(&self, x: &Tensor) -> Result<ConvShape> {
        let (b, c, h, w) = x.dims4()?;
        if c != self.dims.1 || !is_fast(x) {
            bail!("PackedConv: x: expected (B, {}, H, W) in f32 on the CPU, got {x:?}", self.dims.1)
        }
        of_sides(b, (h, w), self.dims, &self.spec)
    }

    fn run(&self, g: &ConvShape, x: &[f32], residual: Option<&[f32]>) -> Vec<f32> {
        let epilogue = Epilogue { shift: self.shift.as_deref(), act: self.spec.act, residual };
        match &self.way {
            Way::Winograd(kernels) => winograd::forward(Isa::best(), g, x, kernels, &epilogue),
            Way::Plain(weight) => select::forward(g, x, weight, &epilogue),
            #[cfg(target_arch = "x86_64")]
            Way::Amx(weights) => super::cpu::amx::forward(g, weights, x, &epilogue),
        }
    }
}

/// Of the map that the way is chosen for, when the maps to come are unknown: large enough for any kernel.
const SIDE: usize = 64;

fn of_sides(
    b: usize,
    (h, w): (usize, usize),
    (o, c, kh, kw): (usize, usize, usize, usize),
    spec: &PackedSpec,
) -> Result<ConvShape> {
    ConvShape::of_sides((b, h, w), (o, c, kh, kw), spec.conv, spec.upsample)
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
