//! The differentiable operations, in the layers where networks spend their time.
use candle_core::{DType, Result, Tensor};
use criterion::Criterion;
use drgan_benches::{Preset, constant, device, weight};
use drgan_tensor::ops::{
    self, Activation, Conv2dSpec, ConvNormSpec, Normalized, PackedConv, PackedSpec, Padding, Precision,
};
use drgan_text::BackboneKind;

/// Sizes of the generator's last stage.
struct Last {
    /// Channels of its map; its residual blocks have twice as many.
    channels: usize,
    /// Side of the map it reads, half its image's.
    side: usize,
}

fn last(preset: &Preset) -> Last {
    let g = &preset.cfg.generator;
    Last { channels: g.ngf, side: g.side(g.stages - 2) }
}

fn convolutions(c: &mut Criterion, preset: &Preset) {
    let mut run = || -> Result<()> {
        let (Last { channels, side }, wide) = (last(preset), 2 * last(preset).channels);
        let spec = Conv2dSpec::new;
        let w = weight(&[2 * wide, wide, 3, 3])?; // a residual block's first
        preset.both(c, "kernels/conv2d_3x3", &[wide, side, side], |x| ops::conv2d(x, &w, None, spec(1, 1)));
        let norm = (weight(&[2 * wide, 1])?.squeeze(1)?, weight(&[2 * wide, 1])?.squeeze(1)?);
        let norm_spec = ConvNormSpec::new(spec(1, 1), Activation::Glu);
        preset.both(c, "kernels/conv2d_batch_norm_glu", &[wide, side, side], |x| {
            ops::conv2d_batch_norm(x, &w, (&norm.0, &norm.1), norm_spec).map(|n| n.y)
        });
        let w = weight(&[3, channels, 3, 3])?; // features to the image
        let finest = [channels, 2 * side, 2 * side];
        preset.both(c, "kernels/conv2d_3x3_picture", &finest, |x| ops::conv2d(x, &w, None, spec(1, 1)));
        let w = weight(&[wide, wide, 3, 3])?; // to the last stage's map
        preset.both(c, "kernels/up_conv2d", &[wide, side, side], |x| ops::up_conv2d(x, &w));
        let deep = channels * preset.cfg.generator.base / 4; // the first doubling of all
        let w = weight(&[deep, deep, 3, 3])?;
        preset.both(c, "kernels/up_conv2d_deep", &[deep, 4, 4], |x| ops::up_conv2d(x, &w));
        let w = weight(&[channels, channels, 1, 1])?; // a mask's second
        preset
            .both(c, "kernels/conv2d_1x1", &[channels, side, side], |x| ops::conv2d(x, &w, None, spec(1, 0)));
        let ndf = preset.cfg.discriminator.ndf; // the finest discriminator's second
        let w = weight(&[2 * ndf, ndf, 4, 4])?;
        preset.both(c, "kernels/conv2d_4x4_stride2", &[ndf, side, side], |x| {
            ops::conv2d(x, &w, None, spec(2, 1))
        });
        Ok(())
    };
    run().expect("convolutions");
}

/// As a generator draws: the largest convolution and doubling, each with all that stands behind it.
fn packed(c: &mut Criterion, preset: &Preset) {
    let mut run = || -> Result<()> {
        let (Last { channels, side }, act) = (last(preset), Activation::Glu);
        let wide = 2 * channels;
        for (suffix, precision) in [("", Precision::F32), ("_bf16", Precision::Bf16)] {
            for (name, out, up) in [("packed_conv2d_3x3", 2 * wide, false), ("packed_up_conv2d", wide, true)]
            {
                let spec =
                    PackedSpec::new(Conv2dSpec::new(1, 1), act).with_upsample(up).with_precision(precision);
                let layer = PackedConv::new(&constant(&[out, wide, 3, 3])?, None, None, spec)?;
                preset.forward(c, &format!("kernels/{name}{suffix}"), &[wide, side, side], |x| {
                    layer.forward(x, None)
                });
            }
        }
        Ok(())
    };
    run().expect("packed convolutions");
}

/// Layers of the frozen image encoder: no gradient of their weights.
fn backbone(c: &mut Criterion, preset: &Preset) {
    let finest = preset.cfg.loader().finest();
    let mut run = || -> Result<()> {
        match preset.cfg.image_encoder.backbone {
            BackboneKind::InceptionV3 => {
                preset.both(c, "kernels/resize_bilinear", &[3, finest, finest], |x| {
                    ops::resize_bilinear(x, 299, 299, true)
                });
                let (w, row) = (constant(&[192, 192, 1, 7])?, Padding::symmetric(0, 3));
                let spec = Conv2dSpec::default().with_padding(row);
                preset.both(c, "kernels/conv2d_1x7", &[192, 17, 17], |x| ops::conv2d(x, &w, None, spec));
                preset.both(c, "kernels/max_pool2d_3x3", &[64, 147, 147], |x| ops::max_pool2d(x, 3, 2));
                preset.both(c, "kernels/avg_pool2d_3x3", &[288, 35, 35], |x| ops::avg_pool2d(x, 3, 1, 1));
            }
            _ => {
                let (w, b, side) = (
                    constant(&[32, 1, 3, 3])?,
                    constant(&[32, 1])?.squeeze(1)?,
                    preset.cfg.image_encoder.side / 2,
                );
                preset.both(c, "kernels/depthwise_conv2d", &[32, side, side], |x| {
                    ops::depthwise_conv2d(x, &w, &b, Activation::Relu6, Conv2dSpec::new(1, 1))
                });
            }
        }
        Ok(())
    };
    run().expect("layers of the image encoder");
}

fn normalization(c: &mut Criterion, preset: &Preset) {
    let Last { channels, side } = last(preset);
    let gated = [4 * channels, side, side]; // after a residual block's first convolution
    let line = |c: usize| {
        let full = |v: f32| Tensor::full(v, c, &device()).expect("a line");
        (full(1.), full(0.))
    };
    let y = |n: Normalized| n.y;
    let (one, zero) = line(gated[0]);
    preset.both(c, "kernels/batch_norm_glu", &gated, |x| {
        ops::batch_norm(x, &one, &zero, 1e-5, Activation::Glu, None).map(y)
    });
    preset.both(c, "kernels/scale_shift_glu", &gated, |x| ops::scale_shift(x, &one, &zero, Activation::Glu));
    let (one, zero) = line(2 * channels);
    preset.both(c, "kernels/batch_norm_residual", &[2 * channels, side, side], |x| {
        ops::batch_norm(x, &one, &zero, 1e-5, Activation::Identity, Some(x)).map(y)
    });
    let ndf = preset.cfg.discriminator.ndf; // after the finest discriminator's first
    preset
        .both(c, "kernels/leaky_relu", &[ndf, side, side], |x| ops::activate(x, Activation::LeakyRelu(0.2)));
}

fn attention(c: &mut Criterion, preset: &Preset) {
    let Last { channels, side } = last(preset);
    let maps = [channels, side, side];
    let t = preset.cfg.damsm.max_words;
    let words = weight(&preset.shape(&[channels, t])).expect("words");
    let mask = Tensor::zeros((preset.batch, t), DType::U8, &device()).expect("a mask");
    preset.both(c, "kernels/word_attention", &maps, |h| {
        ops::word_attention(h, &words, &mask).map(|(context, _)| context)
    });
    preset.both(c, "kernels/gate", &maps, |x| ops::gate(x, x, 1.));
    preset.both(c, "kernels/moments", &maps, |x| {
        let (mean, var) = ops::moments(x)?;
        Tensor::cat(&[mean, var], 0)
    });
}

fn others(c: &mut Criterion, preset: &Preset) {
    let (g, finest) = (&preset.cfg.generator, preset.cfg.loader().finest());
    // Condition and noise to the first map and its gate.
    let w = weight(&[2 * 16 * g.ngf * g.base / 4, g.nc + g.nz]).expect("a weight");
    preset.both(c, "kernels/linear", &[g.nc + g.nz], |x| ops::linear(x, &w));
    preset.both(c, "kernels/resize_area", &[3, finest, finest], |x| ops::resize_area(x, g.base, g.base));
}

fn main() {
    drgan_benches::run(&[convolutions, packed, backbone, normalization, attention, others]);
}
