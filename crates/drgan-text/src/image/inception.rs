//! Inception-v3 as a frozen backbone.
use super::backbone::{Backbone, BackboneFeatures};
use super::conv_bn::ConvBn;
use candle_core::Tensor;
use drgan_tensor::ops::{self, Activation, Padding};
use drgan_tensor::{Result, VarBuilder, expect_shape};

/// Side in pixels of the images that the network was trained on.
const SIDE: usize = 299;

/// A convolution of a block: name, output channels, kernel size, stride, and whether it is padded so that the size stays at
/// stride 1.
#[derive(Clone, Copy)]
struct Spec(&'static str, usize, (usize, usize), usize, bool);

/// A padded convolution with a square kernel.
const fn same(name: &'static str, c: usize, k: usize) -> Spec {
    Spec(name, c, (k, k), 1, true)
}

/// A padded convolution with kernel `1 x k`.
const fn row(name: &'static str, c: usize, k: usize) -> Spec {
    Spec(name, c, (1, k), 1, true)
}

/// A padded convolution with kernel `k x 1`.
const fn col(name: &'static str, c: usize, k: usize) -> Spec {
    Spec(name, c, (k, 1), 1, true)
}

/// A 3x3 convolution without padding.
const fn valid(name: &'static str, c: usize, stride: usize) -> Spec {
    Spec(name, c, (3, 3), stride, false)
}

/// Convolutions one after the other.
#[derive(Clone, Debug)]
struct Chain(Vec<(ConvBn, usize, Padding)>);

impl Chain {
    fn new(mut c_in: usize, specs: &[Spec], vb: &VarBuilder<'_>) -> Result<Self> {
        let mut layers = Vec::with_capacity(specs.len());
        for Spec(name, c_out, (kh, kw), stride, keeps) in specs {
            let vb = vb.pp(name);
            let conv = ConvBn::new((*c_out, c_in, *kh, *kw), Activation::Relu, &vb.pp("conv"), &vb.pp("bn"))?;
            let padding = if *keeps { Padding::symmetric(kh / 2, kw / 2) } else { Padding::default() };
            layers.push((conv, *stride, padding));
            c_in = *c_out;
        }
        Ok(Self(layers))
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.iter().try_fold(x.clone(), |x, (conv, stride, padding)| conv.forward(&x, *stride, *padding))
    }
}

/// A branch of a block: a chain, and convolutions that all read its output. Without them the output is the chain's own.
#[derive(Clone, Debug)]
struct Branch {
    trunk: Chain,
    forks: Vec<Chain>,
}

/// The branch of a block that starts with pooling.
#[derive(Clone, Debug)]
enum Pool {
    /// A 3x3 average, then a 1x1 convolution.
    Average(Chain),
    /// A 3x3 maximum at stride 2.
    Max,
}

/// An Inception block: parallel branches, concatenated by channel, the pooled one last.
#[derive(Clone, Debug)]
struct Block {
    branches: Vec<Branch>,
    pool: Pool,
}

impl Block {
    /// Branches as `(chain, forks)`; `pool` gives the channels of the average branch, `None` a maximum branch.
    fn new(
        c_in: usize,
        branches: &[(&[Spec], &[Spec])],
        pool: Option<usize>,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let branch = |(trunk, forks): &(&[Spec], &[Spec])| -> Result<Branch> {
            let c_mid = trunk.last().map_or(c_in, |s| s.1);
            let forks = forks.iter().map(|f| Chain::new(c_mid, &[*f], vb)).collect::<Result<_>>()?;
            Ok(Branch { trunk: Chain::new(c_in, trunk, vb)?, forks })
        };
        Ok(Self {
            branches: branches.iter().map(branch).collect::<Result<_>>()?,
            pool: match pool {
                Some(c) => Pool::Average(Chain::new(c_in, &[same("branch_pool", c, 1)], vb)?),
                None => Pool::Max,
            },
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut parts = Vec::new();
        for Branch { trunk, forks } in &self.branches {
            let y = trunk.forward(x)?;
            for fork in forks {
                parts.push(fork.forward(&y)?);
            }
            if forks.is_empty() {
                parts.push(y);
            }
        }
        parts.push(match &self.pool {
            Pool::Average(conv) => conv.forward(&ops::avg_pool2d(x, 3, 1, 1)?)?,
            Pool::Max => ops::max_pool2d(x, 3, 2)?,
        });
        Ok(Tensor::cat(&parts, 1)?)
    }
}

fn block_5(c_in: usize, pool: usize, vb: &VarBuilder<'_>) -> Result<Block> {
    let double =
        [same("branch3x3dbl_1", 64, 1), same("branch3x3dbl_2", 96, 3), same("branch3x3dbl_3", 96, 3)];
    let five = [same("branch5x5_1", 48, 1), same("branch5x5_2", 64, 5)];
    Block::new(c_in, &[(&[same("branch1x1", 64, 1)], &[]), (&five, &[]), (&double, &[])], Some(pool), vb)
}

fn block_6a(vb: &VarBuilder<'_>) -> Result<Block> {
    let double =
        [same("branch3x3dbl_1", 64, 1), same("branch3x3dbl_2", 96, 3), valid("branch3x3dbl_3", 96, 2)];
    Block::new(288, &[(&[valid("branch3x3", 384, 2)], &[]), (&double, &[])], None, vb)
}

fn block_6(c: usize, vb: &VarBuilder<'_>) -> Result<Block> {
    let seven = [same("branch7x7_1", c, 1), row("branch7x7_2", c, 7), col("branch7x7_3", 192, 7)];
    let double = [
        same("branch7x7dbl_1", c, 1),
        col("branch7x7dbl_2", c, 7),
        row("branch7x7dbl_3", c, 7),
        col("branch7x7dbl_4", c, 7),
        row("branch7x7dbl_5", 192, 7),
    ];
    Block::new(768, &[(&[same("branch1x1", 192, 1)], &[]), (&seven, &[]), (&double, &[])], Some(192), vb)
}

fn block_7a(vb: &VarBuilder<'_>) -> Result<Block> {
    let three = [same("branch3x3_1", 192, 1), valid("branch3x3_2", 320, 2)];
    let seven = [
        same("branch7x7x3_1", 192, 1),
        row("branch7x7x3_2", 192, 7),
        col("branch7x7x3_3", 192, 7),
        valid("branch7x7x3_4", 192, 2),
    ];
    Block::new(768, &[(&three, &[]), (&seven, &[])], None, vb)
}

fn block_7(c_in: usize, vb: &VarBuilder<'_>) -> Result<Block> {
    let three = [row("branch3x3_2a", 384, 3), col("branch3x3_2b", 384, 3)];
    let double = [same("branch3x3dbl_1", 448, 1), same("branch3x3dbl_2", 384, 3)];
    let forks = [row("branch3x3dbl_3a", 384, 3), col("branch3x3dbl_3b", 384, 3)];
    let branches: [(&[Spec], &[Spec]); 3] =
        [(&[same("branch1x1", 320, 1)], &[]), (&[same("branch3x3_1", 384, 1)], &three), (&double, &forks)];
    Block::new(c_in, &branches, Some(192), vb)
}

/// Inception-v3 without its classifier, frozen, as AttnGAN uses it: input resized to 299 (bilinear, aligned corners), no
/// ImageNet normalization (docs/divergences.md, image encoder). Names are torchvision's.
///
/// The map is the output of `Mixed_6e`, `(B, 768, 17, 17)`; the pooled feature has 2048 values.
#[derive(Clone, Debug)]
pub struct InceptionV3 {
    stem: [Chain; 2],
    to_map: Vec<Block>,
    to_pool: Vec<Block>,
}

impl InceptionV3 {
    /// Looks up every parameter under the prefix of `vb`.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(vb: VarBuilder<'_>) -> Result<Self> {
        let first =
            [valid("Conv2d_1a_3x3", 32, 2), valid("Conv2d_2a_3x3", 32, 1), same("Conv2d_2b_3x3", 64, 3)];
        let second = [same("Conv2d_3b_1x1", 80, 1), valid("Conv2d_4a_3x3", 192, 1)];
        Ok(Self {
            stem: [Chain::new(3, &first, &vb)?, Chain::new(64, &second, &vb)?],
            to_map: vec![
                block_5(192, 32, &vb.pp("Mixed_5b"))?,
                block_5(256, 64, &vb.pp("Mixed_5c"))?,
                block_5(288, 64, &vb.pp("Mixed_5d"))?,
                block_6a(&vb.pp("Mixed_6a"))?,
                block_6(128, &vb.pp("Mixed_6b"))?,
                block_6(160, &vb.pp("Mixed_6c"))?,
                block_6(160, &vb.pp("Mixed_6d"))?,
                block_6(192, &vb.pp("Mixed_6e"))?,
            ],
            to_pool: vec![
                block_7a(&vb.pp("Mixed_7a"))?,
                block_7(1280, &vb.pp("Mixed_7b"))?,
                block_7(2048, &vb.pp("Mixed_7c"))?,
            ],
        })
    }
}

impl Backbone for InceptionV3 {
    fn features(&self, images: &Tensor) -> Result<BackboneFeatures> {
        expect_shape("InceptionV3::features: images", images, &[None, Some(3), None, None], "(B, 3, H, W)")?;
        let mut x = ops::resize_bilinear(images, SIDE, SIDE, true)?;
        for chain in &self.stem {
            x = ops::max_pool2d(&chain.forward(&x)?, 3, 2)?; // (B, 64, 73, 73), (B, 192, 35, 35)
        }
        let map = self.to_map.iter().try_fold(x, |x, block| block.forward(&x))?; // (B, 768, 17, 17)
        let x = self.to_pool.iter().try_fold(map.clone(), |x, block| block.forward(&x))?; // (B, 2048, 8, 8)
        Ok(BackboneFeatures { map, pooled: ops::mean_pixels(&x)? })
    }

    fn map_channels(&self) -> usize {
        768
    }

    fn pooled_channels(&self) -> usize {
        2048
    }
}
