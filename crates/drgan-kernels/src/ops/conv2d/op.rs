//! The convolution as candle sees it: one node of the graph, with a backward pass that skips constants.
use super::cpu::select::{forward, gradients};
use crate::cpu::channels::Channels;
use crate::cpu::rows::Affine;
use crate::cpu::{slice, with_values};
use crate::ops::activation::{Activation, shape_out};
use crate::ops::conv2d::cpu::epilogue::Epilogue;
use crate::ops::conv2d::shape::ConvShape;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor};

/// `x` and `weight` f32 on the CPU, of the geometry's sizes; `act` as [`gradient_from_output`].
pub(crate) fn apply(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    act: Activation,
    geometry: ConvShape,
) -> Result<Tensor> {
    let (x, weight, op) = (x.contiguous()?, weight.contiguous()?, Conv { g: geometry, act });
    match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op),
        None => x.apply_op2(&weight, op),
    }
}

/// Whether the slope of an activation follows from its result, so that what went in need not be kept.
pub(crate) fn gradient_from_output(act: Activation) -> bool {
    match act {
        Activation::Identity | Activation::Relu | Activation::Relu6 => true,
        Activation::LeakyRelu(slope) => slope >= 0.,
        Activation::Glu => false,
    }
}

/// `dz`, the gradient in front of `act`, from `dy`, that of its result `y`; and its sum over each channel, if `sums`.
pub(crate) fn activation_backward(
    act: Activation,
    y: &Tensor,
    dy: &Tensor,
    sums: bool,
) -> Result<(Tensor, Option<Vec<f32>>)> {
    let (planes, dy) = (Channels::of(y.dims()), dy.contiguous()?);
    if act == Activation::Identity {
        let sums = sums.then(|| with_values([&dy], |[dy]| Ok(planes.sums(dy)))).transpose()?;
        return Ok((dy, sums));
    }
    let dz =
        with_values([y, &dy], |[y, dy]| Ok(planes.gradient(y, act, &|_| Affine::IDENTITY, dy, &|_, _| ())))?;
    let sums = sums.then(|| planes.sums(&dz));
    Ok((Tensor::from_vec(dz, y.shape(), &Device::Cpu)?, sums))
}

struct Conv {
    g: ConvShape,
    act: Activation,
}

impl Conv {
    fn run(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> (CpuStorage, Shape) {
        let g = &self.g;
        let epilogue = Epilogue { shift: bias, act: self.act, residual: None };
        (CpuStorage::F32(forward(g, x, weight, &epilogue)), shape_out(&[g.b, g.o, g.oh, g.ow], self.act))
    }

    /// From the gradient in front of the activation.
    fn gradients(
        &self,
        x: &Tensor,
        weight: &Tensor,
        dz: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with_values([x, weight, dz], |[x_values, w_values, dz]| {
            gradients(&self.g, (x, x_values), (weight, w_values), dz)
        })
    }
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok(self.run(slice(x, lx)?, slice(w, lw)?, None))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dz, _) = activation_backward(self.act, y, dy, false)?;
        self.gradients(x, w, &dz)
    }
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "conv2d with bias"
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
        Ok(self.run(slice(x, lx)?, slice(w, lw)?, Some(slice(b, lb)?)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dz, sums) = activation_backward(self.act, y, dy, b.track_op())?;
        let (dx, dw) = self.gradients(x, w, &dz)?;
        let db = sums.map(|sums| Tensor::from_vec(sums, b.shape(), &Device::Cpu)).transpose()?;
        Ok((dx, dw, db))
    }
}
