//! A packed convolution on CUDA devices: the convolution, and all that follows it in one launch.
use super::{forward as convolve, op::finish};
use crate::cuda::op::with_views;
use crate::ops::activation::kind::Activation;
use crate::ops::conv2d::shape::ConvShape;
use crate::precision::Precision;
use candle_core::{Result, Tensor};

/// `act(conv(x) + shift) + residual`, without a gradient.
pub(in crate::ops::conv2d) fn forward(
    g: &ConvShape,
    [x, weight]: [&Tensor; 2],
    (shift, act): (Option<&Tensor>, Activation),
    precision: Precision,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    let (x, residual) = (x.contiguous()?, residual.map(Tensor::contiguous).transpose()?);
    with_views([&x, weight], |queue, [x, weight]| {
        let queue = &queue.with_precision(precision);
        let z = convolve(queue, g, x, weight)?;
        let views: Vec<&Tensor> = shift.into_iter().chain(&residual).collect();
        let y = match views.as_slice() {
            [both, last] => with_views([both, last], |queue, [shift, residual]| {
                finish(queue, g, z, (Some(shift), act), Some(residual))
            }),
            [one] => with_views([one], |queue, [one]| {
                let (shift, residual) = if shift.is_some() { (Some(one), None) } else { (None, Some(one)) };
                finish(queue, g, z, (shift, act), residual)
            }),
            _ => finish(queue, g, z, (None, act), None),
        }?;
        Ok(queue.tensor(y, (g.b, act.channels_out(g.o), g.oh, g.ow)))
    })
}
