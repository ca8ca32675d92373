//! The differentiable operations, at the sizes of a 64-pixel run.
use candle_core::{DType, Device, Result, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use drgan_benches::{forward_and_backward, values, weight};
use drgan_tensor::ops::{self, Activation, Conv2dSpec};

const B: usize = 4;

fn convolutions(c: &mut Criterion) {
    let run = |c: &mut Criterion| -> Result<()> {
        let w = weight(&[64, 32, 3, 3])?;
        forward_and_backward(c, "kernels/conv2d_3x3", &[B, 32, 32, 32], |x| {
            ops::conv2d(x, &w, None, Conv2dSpec::new(1, 1))
        });
        let w = weight(&[64, 32, 4, 4])?;
        forward_and_backward(c, "kernels/conv2d_4x4_stride2", &[B, 32, 32, 32], |x| {
            ops::conv2d(x, &w, None, Conv2dSpec::new(2, 1))
        });
        let w = weight(&[32, 64, 1, 1])?;
        forward_and_backward(c, "kernels/conv2d_1x1", &[B, 64, 32, 32], |x| {
            ops::conv2d(x, &w, None, Conv2dSpec::new(1, 0))
        });
        let w = weight(&[64, 32, 3, 3])?;
        forward_and_backward(c, "kernels/up_conv2d", &[B, 32, 16, 16], |x| ops::up_conv2d(x, &w));
        let (w, zero) = (weight(&[32, 1, 3, 3])?.detach(), values(&[32])?);
        forward_and_backward(c, "kernels/depthwise_conv2d", &[B, 32, 32, 32], |x| {
            ops::depthwise_conv2d(x, &w, &zero, Activation::Relu6, Conv2dSpec::new(1, 1))
        });
        Ok(())
    };
    run(c).expect("convolutions");
}

fn normalisation(c: &mut Criterion) {
    let (one, zero) = (
        Tensor::ones(64, DType::F32, &Device::Cpu).expect("weights"),
        Tensor::zeros(64, DType::F32, &Device::Cpu).expect("biases"),
    );
    forward_and_backward(c, "kernels/batch_norm_glu", &[B, 64, 32, 32], |x| {
        ops::batch_norm(x, &one, &zero, 1e-5, Activation::Glu, None).map(|n| n.y)
    });
    forward_and_backward(c, "kernels/scale_shift_glu", &[B, 64, 32, 32], |x| {
        ops::scale_shift(x, &one, &zero, Activation::Glu)
    });
    forward_and_backward(c, "kernels/leaky_relu", &[B, 64, 32, 32], |x| {
        ops::activate(x, Activation::LeakyRelu(0.2))
    });
}

fn resizing(c: &mut Criterion) {
    let shape = [B, 3, 64, 64];
    forward_and_backward(c, "kernels/resize_bilinear", &shape, |x| ops::resize_bilinear(x, 224, 224, false));
    forward_and_backward(c, "kernels/resize_area", &shape, |x| ops::resize_area(x, 16, 16));
    forward_and_backward(c, "kernels/max_pool2d_3x3", &[B, 32, 31, 31], |x| ops::max_pool2d(x, 3, 2));
    forward_and_backward(c, "kernels/avg_pool2d_3x3", &[B, 32, 31, 31], |x| ops::avg_pool2d(x, 3, 1, 1));
}

criterion_group!(benches, convolutions, normalisation, resizing);
criterion_main!(benches);
