//! EfficientNet-Lite0 as a frozen backbone.
use super::backbone::{Backbone, BackboneFeatures};
use super::conv_bn::ConvBn;
use candle_core::Tensor;
use drgan_tensor::ops::{self, Activation, Padding};
use drgan_tensor::{Error, Result, VarBuilder, expect_shape};

/// Kernel size, stride, expansion factor, output channels and repeats of each group of blocks.
const GROUPS: [(usize, usize, usize, usize, usize); 7] = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
];
/// Output channels of the first convolution.
const STEM: usize = 32;
/// Channels of the blocks whose last feature map is the backbone's map.
const MAP: usize = 112;
/// Output channels of the last convolution.
const HEAD: usize = 1280;

/// Inverted bottleneck: 1x1 expansion, depthwise convolution, 1x1 projection; with a residual connection where the shape
/// stays.
#[derive(Clone, Debug)]
struct Block {
    expand: Option<ConvBn>,
    depthwise: ConvBn,
    project: ConvBn,
    kernel: usize,
    stride: usize,
    residual: bool,
    c_out: usize,
}

impl Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let wide = match &self.expand {
            Some(e) => e.forward(x, 1, Padding::default())?,
            None => x.clone(),
        };
        let same = Padding::tf_same(wide.dim(2)?, wide.dim(3)?, self.kernel, self.stride);
        let y = self.depthwise.forward(&wide, self.stride, same)?;
        let y = self.project.forward(&y, 1, Padding::default())?;
        Ok(if self.residual { (y + x)? } else { y })
    }
}

/// EfficientNet-Lite0 without its classifier, frozen: fifteen times cheaper than Inception-v3.
///
/// ReLU6, TensorFlow's `SAME` padding, no squeeze-and-excitation; input `(u8 - 127) / 128`. Names as in the PyTorch port:
/// `_conv_stem`, `_bn0`, `_blocks.N._{expand_conv,bn0,depthwise_conv,bn1,project_conv,bn2}`, `_conv_head`, `_bn1`.
/// The map is the last one with 112 channels, at a sixteenth of the side; the pooled feature has 1280 values.
#[derive(Clone, Debug)]
pub struct EfficientNetLite0 {
    stem: ConvBn,
    blocks: Vec<Block>,
    head: ConvBn,
    side: Option<usize>,
}

impl EfficientNetLite0 {
    /// Images are resized to `side` pixels first (bilinear); with `None` they are taken as they are.
    ///
    /// # Errors
    /// A parameter is missing or of another shape; a side of 0.
    pub fn new(side: Option<usize>, vb: VarBuilder<'_>) -> Result<Self> {
        if side == Some(0) {
            return Err(Error::Config {
                field: "image_encoder.side",
                reason: "expected 1 or more, got 0".into(),
            });
        }
        let act = Activation::Relu6;
        let (mut blocks, mut c_in) = (Vec::new(), STEM);
        for (kernel, first_stride, expansion, c_out, repeats) in GROUPS {
            for r in 0..repeats {
                let stride = if r == 0 { first_stride } else { 1 };
                let (vb, wide) = (vb.pp("_blocks").pp(blocks.len()), c_in * expansion);
                let expand = (expansion > 1)
                    .then(|| ConvBn::new((wide, c_in, 1, 1), act, &vb.pp("_expand_conv"), &vb.pp("_bn0")));
                let project = (c_out, wide, 1, 1);
                blocks.push(Block {
                    expand: expand.transpose()?,
                    depthwise: ConvBn::depthwise(
                        (wide, kernel),
                        act,
                        &vb.pp("_depthwise_conv"),
                        &vb.pp("_bn1"),
                    )?,
                    project: ConvBn::new(
                        project,
                        Activation::Identity,
                        &vb.pp("_project_conv"),
                        &vb.pp("_bn2"),
                    )?,
                    kernel,
                    stride,
                    residual: stride == 1 && c_in == c_out,
                    c_out,
                });
                c_in = c_out;
            }
        }
        Ok(Self {
            stem: ConvBn::new((STEM, 3, 3, 3), act, &vb.pp("_conv_stem"), &vb.pp("_bn0"))?,
            blocks,
            head: ConvBn::new((HEAD, c_in, 1, 1), act, &vb.pp("_conv_head"), &vb.pp("_bn1"))?,
            side,
        })
    }
}

impl Backbone for EfficientNetLite0 {
    fn features(&self, images: &Tensor) -> Result<BackboneFeatures> {
        expect_shape(
            "EfficientNetLite0::features: images",
            images,
            &[None, Some(3), None, None],
            "(B, 3, H, W)",
        )?;
        let x = match self.side {
            Some(s) if images.dims()[2..] != [s, s] => ops::resize_bilinear(images, s, s, false)?,
            _ => images.clone(),
        };
        let x = x.affine(127.5 / 128., 0.5 / 128.)?; // (127.5 x + 127.5 - 127) / 128
        let mut x = self.stem.forward(&x, 2, Padding::tf_same(x.dim(2)?, x.dim(3)?, 3, 2))?;
        let mut map = x.clone();
        for block in &self.blocks {
            x = block.forward(&x)?;
            if block.c_out == MAP {
                map = x.clone(); // (B, 112, H / 16, W / 16)
            }
        }
        let pooled = ops::mean_pixels(&self.head.forward(&x, 1, Padding::default())?)?; // (B, 1280)
        Ok(BackboneFeatures { map, pooled })
    }

    fn map_channels(&self) -> usize {
        MAP
    }

    fn pooled_channels(&self) -> usize {
        HEAD
    }
}
