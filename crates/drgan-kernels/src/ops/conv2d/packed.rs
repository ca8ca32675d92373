//! A convolution for inference, packed once with its scale, shift and activation.
use super::cpu::packed::PackedWeight;
use super::cuda;
use super::packed_spec::PackedSpec;
use super::reference;
use super::shape::{Conv2dSpec, ConvShape};
use crate::cpu::slices::with_values;
use crate::dispatch::{Backend, backend, fall_back, same_type};
use crate::ops::activation::reference::activate;
use crate::ops::upsample::reference::upsample_nearest2x;
use crate::precision::Precision;
use candle_core::{DType, Result, Tensor, bail};

/// A convolution for inference with its epilogue: `act(scale_o conv(x)_o + shift_o) + residual`.
///
/// The scale is folded into the weights, once. In f32 on the CPU they are brought into the layout that products read; in
/// other types and on other devices they stay tensors: kernels compute in f32 on CUDA devices, elsewhere the reference. Nothing keeps a gradient, and later
/// changes of the weights it was made of do not show.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use drgan_kernels::{Activation, Conv2dSpec, PackedConv, PackedSpec};
///
/// let weight = Tensor::randn(0f32, 1., (16, 8, 3, 3), &Device::Cpu)?;
/// let layer = PackedConv::new(&weight, None, None, PackedSpec::new(Conv2dSpec::new(1, 1), Activation::Glu))?;
/// let x = Tensor::randn(0f32, 1., (2, 8, 32, 32), &Device::Cpu)?;
/// assert_eq!(layer.forward(&x, None)?.dims(), [2, 8, 32, 32]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub struct PackedConv {
    packed: Packed,
    /// Shape of the weight, `(O, C, kh, kw)`.
    dims: (usize, usize, usize, usize),
    spec: PackedSpec,
}

/// The weight, in the form of the backend it was packed for.
enum Packed {
    /// Weight and shift as the CPU's kernels read them.
    Cpu { weight: PackedWeight, shift: Option<Vec<f32>> },
    /// The scaled weight and the shift `(1, O, 1, 1)`, for the kernels on CUDA devices and the reference on any.
    Folded { weight: Tensor, shift: Option<Tensor> },
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
    /// `weight` `(O, C, kh, kw)`, `scale` and `shift` `(O,)`, of one type on one device.
    ///
    /// # Errors
    /// Tensors of another type or device than the weight; shapes that do not fit; a gated activation of an odd O; an
    /// upsampled input without a 3x3 kernel of stride 1 and padding 1; TF32 elsewhere than in f32 on a CUDA device.
    pub fn new(
        weight: &Tensor,
        scale: Option<&Tensor>,
        shift: Option<&Tensor>,
        spec: PackedSpec,
    ) -> Result<Self> {
        let dims @ (o, _, kh, kw) = weight.dims4()?;
        for (name, vector) in [("scale", scale), ("shift", shift)] {
            if let Some(vector) = vector
                && (vector.elem_count() != o || !same_type(vector, weight))
            {
                bail!(
                    "PackedConv: {name}: expected {o} values in {:?} as the weight, got {:?} in {:?}",
                    weight.dtype(),
                    vector.dims(),
                    vector.dtype()
                )
            }
        }
        spec.act.check_channels("PackedConv: weight", o)?;
        if spec.upsample && ((kh, kw) != (3, 3) || spec.conv != Conv2dSpec::new(1, 1)) {
            bail!(
                "PackedConv: an upsampled map is convolved 3x3 with stride 1 and padding 1, got {kh}x{kw}, {spec:?}"
            )
        }
        let inputs: Vec<&Tensor> = [Some(weight), scale, shift].into_iter().flatten().collect();
        let backend = backend("PackedConv", &inputs)?;
        if spec.precision == Precision::Tf32 && backend != Backend::Cuda {
            bail!(
                "PackedConv: CUDA devices alone compute in tf32; in f32 and bf16 a layer is packed on any device"
            )
        }
        let packed = match backend {
            Backend::Cpu => {
                let values = |t: &Tensor| t.detach().flatten_all()?.to_vec1::<f32>();
                let (scale, shift) = (scale.map(values).transpose()?, shift.map(values).transpose()?);
                let weight = PackedWeight::new(values(weight)?, scale.as_deref(), dims, &spec)?;
                Packed::Cpu { weight, shift }
            }
            _ => {
                let weight = match scale {
                    Some(scale) => weight.detach().broadcast_mul(&scale.detach().reshape((o, 1, 1, 1))?)?,
                    None => weight.detach().copy()?,
                };
                let shift = shift.map(|s| s.detach().copy()?.reshape((1, o, 1, 1))).transpose()?;
                Packed::Folded { weight, shift }
            }
        };
        Ok(Self { packed, dims, spec })
    }

    /// The layer's output for `x`; `residual`, if any, is added after the activation.
    ///
    /// # Shapes
    /// `x` `(B, C, H, W)`; the result `(B, O', H', W')` and so is `residual`, with `O' = O / 2` if gated.
    ///
    /// # Errors
    /// Another type or device than the layer was packed for; shapes that do not fit.
    pub fn forward(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        if c != self.dims.1 {
            bail!("PackedConv: x: expected (B, {}, H, W), got {:?}", self.dims.1, x.dims())
        }
        let shape = ConvShape::of_sides((b, h, w), self.dims, self.spec.conv, self.spec.upsample)?;
        let out = (b, self.spec.act.channels_out(shape.o), shape.oh, shape.ow);
        if let Some(residual) = residual
            && residual.dims4()? != out
        {
            bail!("PackedConv: residual: expected {out:?}, got {:?}", residual.dims())
        }
        let weight = match &self.packed {
            Packed::Folded { weight, .. } => Some(weight),
            Packed::Cpu { .. } => None,
        };
        let inputs: Vec<&Tensor> = [weight, Some(x), residual].into_iter().flatten().collect();
        match (&self.packed, backend("PackedConv", &inputs)?) {
            (Packed::Cpu { .. }, Backend::Cpu) if b == 0 => Tensor::zeros(out, x.dtype(), x.device()),
            (Packed::Folded { weight, .. }, _) if b == 0 && same_type(x, weight) => {
                Tensor::zeros(out, x.dtype(), x.device())
            }
            (Packed::Cpu { weight, shift }, Backend::Cpu) => {
                let (x, shift, act) = (x.detach().contiguous()?, shift.as_deref(), self.spec.act);
                let y = match residual {
                    Some(residual) => {
                        let residual = residual.detach().contiguous()?;
                        with_values([&x, &residual], |[x, residual]| {
                            Ok(weight.forward(&shape, x, shift, act, Some(residual)))
                        })?
                    }
                    None => with_values([&x], |[x]| Ok(weight.forward(&shape, x, shift, act, None)))?,
                };
                Tensor::from_vec(y, out, x.device())
            }
            (Packed::Folded { weight, shift }, Backend::Cuda) if x.elem_count() * weight.elem_count() > 0 => {
                let after = (shift.as_ref(), self.spec.act);
                cuda::forward_packed(&shape, [x, weight], after, self.spec.precision, residual)
            }
            (Packed::Folded { weight, shift }, _) if same_type(x, weight) => fall_back(|| {
                let x = x.detach();
                let x = if self.spec.upsample { upsample_nearest2x(&x)? } else { x };
                let y = reference::conv2d(&x, weight, None, self.spec.conv)?;
                let y = match shift {
                    Some(shift) => y.broadcast_add(shift)?,
                    None => y,
                };
                let y = activate(&y, self.spec.act)?;
                match residual {
                    Some(residual) => y + residual.detach(),
                    None => Ok(y),
                }
            }),
            (packed, _) => {
                let dtype = match packed {
                    Packed::Cpu { .. } => DType::F32,
                    Packed::Folded { weight, .. } => weight.dtype(),
                };
                bail!(
                    "PackedConv: x: expected {dtype:?} on the device that the layer was packed on, got {x:?}"
                )
            }
        }
    }
}
