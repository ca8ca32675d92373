//! The convolution as candle sees it: one node of the graph, with a backward pass that skips constants.
use super::im2col::{self, Geometry};
use super::method::{forward, input_gradient, weight_gradient};
use crate::cpu::{slice, with_values};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor};

/// `x` and `weight` f32 on the CPU, of the geometry's sizes.
pub(crate) fn apply(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    geometry: Geometry,
) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, Conv(geometry)),
        None => x.apply_op2(&weight, Conv(geometry)),
    }
}

struct Conv(Geometry);

impl Conv {
    fn run(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> (CpuStorage, Shape) {
        let g = &self.0;
        (CpuStorage::F32(forward(g, x, weight, bias)), (g.b, g.o, g.oh, g.ow).into())
    }

    /// Gradients of the input and of the weight, each only if somebody asks for it.
    fn gradients(
        &self,
        x: &Tensor,
        weight: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (g, dy) = (&self.0, dy.contiguous()?);
        with_values([x, weight, &dy], |[x_values, w_values, dy_values]| {
            let dx = if x.track_op() {
                let values = input_gradient(g, dy_values, w_values);
                Some(Tensor::from_vec(values, x.shape(), &Device::Cpu)?)
            } else {
                None
            };
            let dw = if weight.track_op() {
                let values = weight_gradient(g, x_values, dy_values);
                Some(Tensor::from_vec(values, weight.shape(), &Device::Cpu)?)
            } else {
                None
            };
            Ok((dx, dw))
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
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(x, w, dy)
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
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = self.gradients(x, w, dy)?;
        let db = if b.track_op() {
            let dy = dy.contiguous()?;
            let values = with_values([&dy], |[dy]| Ok(im2col::bias_gradient(&self.0, dy)))?;
            Some(Tensor::from_vec(values, b.shape(), &Device::Cpu)?)
        } else {
            None
        };
        Ok((dx, dw, db))
    }
}
