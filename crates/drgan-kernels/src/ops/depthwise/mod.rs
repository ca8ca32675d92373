use crate::cpu::simd::Isa;
use crate::cpu::{is_fast, slice, with_values};
use crate::ops::activation::{self, Activation};
use crate::ops::conv2d::cpu::direct;
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::op::{activation_backward, gradient_from_output};
use crate::ops::conv2d::reference::patches;
use crate::ops::conv2d::shape::Conv2dSpec;
use crate::ops::conv2d::shape::ConvShape;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};

/// Depth-wise 2-D convolution, each channel with its own kernel, and what follows: `act(conv(x) + bias)`.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; `weight`: `(C, 1, kh, kw)`; `bias`: `(C,)`; result: `(B, C, H', W')`, half the channels if gated.
///
/// # Errors
/// Shapes that do not fit each other.
pub fn depthwise_conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    act: Activation,
    spec: Conv2dSpec,
) -> Result<Tensor> {
    let constant = !weight.track_op() && !bias.track_op();
    let fast = [x, weight, bias].into_iter().all(is_fast) && x.elem_count() > 0;
    if !fast || !constant || !gradient_from_output(act) {
        return reference(x, weight, bias, act, spec);
    }
    let ((b, c, h, w), (.., kh, kw)) = (x.dims4()?, weight.dims4()?);
    check(x, weight, bias)?;
    let (oh, ow) = spec.output_size((h, w), (kh, kw))?;
    let Conv2dSpec { stride, padding } = spec;
    let g = ConvShape { b, c, h, w, o: c, kh, kw, stride, padding, oh, ow, upsample: false };
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Depthwise { g, act })
}

fn check(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<()> {
    let ((_, c, ..), (wc, one, ..)) = (x.dims4()?, weight.dims4()?);
    if wc != c || one != 1 || bias.dims() != [c] {
        bail!(
            "depthwise_conv2d: weight, bias: expected ({c}, 1, kh, kw) and ({c},), got {:?} and {:?}",
            weight.dims(),
            bias.dims()
        )
    }
    Ok(())
}

/// Directly, every channel a group of its own; weight and bias are constants (with some that learn, the reference runs).
struct Depthwise {
    g: ConvShape,
    act: Activation,
}

impl CustomOp3 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise_conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let g = &self.g;
        let epilogue = Epilogue { shift: Some(slice(b, lb)?), act: self.act, residual: None };
        let y = direct::forward(Isa::best(), g, g.c, slice(x, lx)?, slice(w, lw)?, &epilogue);
        Ok((CpuStorage::F32(y), (g.b, g.o, g.oh, g.ow).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dz, _) = activation_backward(self.act, y, dy, false)?;
        let dx = with_values([w, &dz], |[weight, dz]| {
            Ok(direct::input_gradient(Isa::best(), &self.g, self.g.c, dz, weight))
        })?;
        Ok((Some(Tensor::from_vec(dx, x.shape(), &Device::Cpu)?), None, None))
    }
}

/// Plain-tensor form of [`depthwise_conv2d`].
pub fn reference(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    act: Activation,
    spec: Conv2dSpec,
) -> Result<Tensor> {
    check(x, weight, bias)?;
    let ((b, c, h, w), (.., kh, kw)) = (x.dims4()?, weight.dims4()?);
    let (oh, ow) = spec.output_size((h, w), (kh, kw))?;
    let cols = patches(x, (kh, kw), spec, (oh, ow))?; // (B, C, kh kw, oh ow)
    let y = cols.broadcast_mul(&weight.reshape((1, c, kh * kw, 1))?)?.sum(2)?.reshape((b, c, oh, ow))?;
    activation::reference(&y.broadcast_add(&bias.reshape((1, c, 1, 1))?)?, act)
}
