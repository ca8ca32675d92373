//! The generator's stages: the first, from noise and condition, and those that refine its features.
use crate::{Disentangle, GeneratorConfig, WordAttention};
use candle_core::Tensor;
use drgan_tensor::nn::{ResidualBlock, UpBlock, VectorToMap};
use drgan_tensor::ops::Precision;
use drgan_tensor::{Ctx, Disentangled, Result, TextFeatures, VarBuilder};

/// The first stage (stage 0): condition and noise to the first feature map.
///
/// `[c, z] -> Linear -> BN -> GLU -> (ngf S / 4, 4, 4) -> log2(S / 4) up-blocks`, each halving the channels.
/// Names: `fc.0`, `fc.1`, `upsample1`, `upsample2`, ....
#[derive(Clone, Debug)]
pub struct FirstStage {
    expand: VectorToMap,
    upsample: Vec<UpBlock>,
}

impl FirstStage {
    /// A first stage of the configuration's sizes.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(cfg: &GeneratorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let wide = cfg.ngf * cfg.base / 4;
        let doublings = (cfg.base / 4).ilog2() as usize;
        Ok(Self {
            expand: VectorToMap::new(cfg.nc + cfg.nz, wide, vb.clone())?,
            upsample: (0..doublings)
                .map(|k| UpBlock::new(wide >> k, wide >> (k + 1), vb.pp(format!("upsample{}", k + 1))))
                .collect::<Result<_>>()?,
        })
    }

    pub(crate) fn pack(&self, precision: Precision) -> Result<Self> {
        let upsample = self.upsample.iter().map(|u| u.pack(precision)).collect::<Result<_>>()?;
        Ok(Self { upsample, ..self.clone() })
    }

    /// The first feature map H0 of condition `c` and noise `z`.
    ///
    /// # Shapes
    /// `c` `(B, nc)`, `z` `(B, nz)`; H0 `(B, ngf, S, S)`.
    ///
    /// # Errors
    /// Shapes that do not fit; in training, a batch of one.
    pub fn forward(&self, c: &Tensor, z: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let x = self.expand.forward(&Tensor::cat(&[c, z], 1)?, ctx)?; // (B, ngf S / 4, 4, 4)
        self.upsample.iter().try_fold(x, |x, up| up.forward(&x, ctx))
    }
}

/// A stage after the first: word attention, disentangling, and twice the side.
///
/// `Q = residual0(attention(H, W))`; key and non-key parts of H and Q; `H' = up(residual([H+, Q+]))`.
/// Names: `att`, `residual0` (the blocks that make Q), `reduct_demension2` (mask of H), `reduct_demension` (mask of Q),
/// `residual`, `upsample`; the spelling is the released code's.
///
/// # Paper
/// Section III (docs/divergences.md, context residual; docs/divergences.md, concatenation).
#[derive(Clone, Debug)]
pub struct RefineStage {
    attention: WordAttention,
    context_blocks: Vec<ResidualBlock>,
    image_mask: Disentangle,
    context_mask: Disentangle,
    residual: Vec<ResidualBlock>,
    upsample: UpBlock,
}

/// Result of [`RefineStage::forward`].
#[derive(Clone, Debug)]
pub struct RefinedFeatures {
    /// Features of the next stage and of this stage's image head, H' `(B, ngf, 2 H, 2 W)`.
    pub features: Tensor,
    /// How much each pixel attends to each word, `(B, T, H, W)`, summing to 1 over words.
    pub attention: Tensor,
    /// Key and non-key parts of H and of Q, each map `(B, ngf, H, W)`.
    pub disentangled: Disentangled,
}

impl RefineStage {
    /// A stage of the configuration's sizes; all stages after the first have the same.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(cfg: &GeneratorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let c = cfg.ngf;
        Ok(Self {
            attention: WordAttention::new(cfg.text_dim, c, vb.pp("att"))?,
            context_blocks: ResidualBlock::chain(cfg.residual_blocks, c, vb.pp("residual0"))?,
            image_mask: Disentangle::new(c, cfg.mask(), vb.pp("reduct_demension2"))?,
            context_mask: Disentangle::new(c, cfg.mask(), vb.pp("reduct_demension"))?,
            residual: ResidualBlock::chain(cfg.residual_blocks, 2 * c, vb.pp("residual"))?,
            upsample: UpBlock::new(2 * c, c, vb.pp("upsample"))?,
        })
    }

    pub(crate) fn pack(&self, precision: Precision) -> Result<Self> {
        let blocks =
            |blocks: &[ResidualBlock]| blocks.iter().map(|b| b.pack(precision)).collect::<Result<_>>();
        Ok(Self {
            attention: self.attention.clone(),
            context_blocks: blocks(&self.context_blocks)?,
            image_mask: self.image_mask.pack(precision)?,
            context_mask: self.context_mask.pack(precision)?,
            residual: blocks(&self.residual)?,
            upsample: self.upsample.pack(precision)?,
        })
    }

    /// Refines `h`, the features H of the stage before, by the words of `text`.
    ///
    /// # Shapes
    /// `h` `(B, ngf, H, W)`, `text.words` `(B, D, T)`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, h: &Tensor, text: &TextFeatures, ctx: &Ctx) -> Result<RefinedFeatures> {
        let (context, attention) = self.attention.attend(h, &text.words, &text.mask)?;
        let context = self.context_blocks.iter().try_fold(context, |x, block| block.forward(&x, ctx))?; // Q
        let image = self.image_mask.split(h, ctx)?;
        let context = self.context_mask.split(&context, ctx)?;
        let joint = Tensor::cat(&[&image.key, &context.key], 1)?; // (B, 2 ngf, H, W)
        let joint = self.residual.iter().try_fold(joint, |x, block| block.forward(&x, ctx))?;
        Ok(RefinedFeatures {
            features: self.upsample.forward(&joint, ctx)?,
            attention,
            disentangled: Disentangled { image, context },
        })
    }
}
