//! The whole generator: conditioning augmentation, stages and image heads.
use crate::{FirstStage, GeneratorConfig, ImageHead, RefineStage, condition};
use candle_core::Tensor;
use drgan_tensor::nn::ConditionNet;
use drgan_tensor::ops::Precision;
use drgan_tensor::{
    Ctx, Error, FromConfig, Generator, GeneratorOutput, Result, StageOutput, TextFeatures, VarBuilder,
    expect_shape,
};

/// DR-GAN's generator: conditioning augmentation, a first stage, and stages that refine its features and double the side.
///
/// Names, as the released code's: `ca_net`, `h_net1`, `h_net2`, ..., `img_net1`, `img_net2`, ....
///
/// # Paper
/// Section III.
#[derive(Clone, Debug)]
pub struct StageGenerator {
    condition: ConditionNet,
    first: FirstStage,
    refine: Vec<RefineStage>,
    heads: Vec<ImageHead>,
    cfg: GeneratorConfig,
}

/// Noise of one forward pass: z, and epsilon of the conditioning augmentation.
///
/// ```
/// # use candle_core::{DType, Device, Tensor};
/// # use drgan_sdm::GeneratorNoise;
/// # let (z, epsilon) = (Tensor::zeros((2, 100), DType::F32, &Device::Cpu)?, Tensor::zeros((2, 100), DType::F32, &Device::Cpu)?);
/// let mean = GeneratorNoise::new(&z); // c = mu
/// let sampled = GeneratorNoise::new(&z).with_condition(&epsilon); // c = mu + epsilon exp(logvar / 2)
/// # assert!(mean.condition.is_none() && sampled.condition.is_some());
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GeneratorNoise<'a> {
    /// Standard normal z, `(B, nz)`.
    pub z: &'a Tensor,
    /// Standard normal epsilon of the conditioning augmentation, `(B, nc)`; without it the condition c is its mean.
    pub condition: Option<&'a Tensor>,
}

impl<'a> GeneratorNoise<'a> {
    /// `z` alone: the condition is its mean.
    pub fn new(z: &'a Tensor) -> Self {
        Self { z, condition: None }
    }

    /// Samples the condition with `epsilon`.
    #[must_use]
    pub fn with_condition(self, epsilon: &'a Tensor) -> Self {
        Self { condition: Some(epsilon), ..self }
    }
}

impl FromConfig for StageGenerator {
    type Config = GeneratorConfig;

    fn from_config(cfg: &GeneratorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        cfg.validate()?;
        Ok(Self {
            condition: ConditionNet::new(cfg.text_dim, cfg.nc, vb.pp(condition::NAME))?,
            first: FirstStage::new(cfg, vb.pp("h_net1"))?,
            refine: (1..cfg.stages)
                .map(|i| RefineStage::new(cfg, vb.pp(format!("h_net{}", i + 1))))
                .collect::<Result<_>>()?,
            heads: (0..cfg.stages)
                .map(|i| ImageHead::new(cfg.ngf, cfg.form, vb.pp(format!("img_net{}", i + 1))))
                .collect::<Result<_>>()?,
            cfg: cfg.clone(),
        })
    }
}

impl StageGenerator {
    /// The configuration it was built from.
    pub fn config(&self) -> &GeneratorConfig {
        &self.cfg
    }

    /// A copy for inference: normalizations are folded into the convolutions before them, and weights are arranged once as
    /// the processor reads them. It evaluates only ([`Mode::Eval`](drgan_tensor::Mode::Eval)), gives no gradients of its
    /// convolutions, and does not see later changes of the weights.
    ///
    /// # Errors
    /// Weights that are not f32 on the CPU.
    pub fn pack(&self, precision: Precision) -> Result<Self> {
        Ok(Self {
            condition: self.condition.clone(),
            first: self.first.pack(precision)?,
            refine: self.refine.iter().map(|s| s.pack(precision)).collect::<Result<_>>()?,
            heads: self.heads.iter().map(|h| h.pack(precision)).collect::<Result<_>>()?,
            cfg: self.cfg.clone(),
        })
    }

    /// Images for given noise, with `c = mu + epsilon exp(logvar / 2)`, or `c = mu` without epsilon. No random numbers are
    /// drawn.
    ///
    /// Given one z and epsilon per caption, the image of a caption in [`Mode::Eval`](drgan_tensor::Mode::Eval) depends on
    /// nothing else in the batch: this is what samplers call.
    ///
    /// # Shapes
    /// `noise.z` `(B, nz)`, `noise.condition` `(B, nc)`, words `(B, D, T)`, sentence `(B, D)`, mask `(B, T)`.
    ///
    /// # Errors
    /// Shapes that do not fit; outside evaluation, a batch of one (its batch statistics have no variance).
    pub fn generate_with(
        &self,
        noise: GeneratorNoise<'_>,
        text: &TextFeatures,
        ctx: &Ctx,
    ) -> Result<GeneratorOutput> {
        let GeneratorNoise { z, condition: eps } = noise;
        let GeneratorConfig { nz, nc, text_dim, .. } = self.cfg;
        let documented = format!("(B, nz = {nz})");
        expect_shape("Generator: z", z, &[None, Some(nz)], &documented)?;
        let b = z.dim(0)?;
        if b == 0 || (b == 1 && ctx.mode.batch_statistics()) {
            let expected = if b == 0 {
                format!("(B >= 1, nz = {nz})")
            } else {
                format!("(B >= 2, nz = {nz}) in training: batch norm needs two values per channel")
            };
            return Err(Error::Shape { what: "Generator: z", expected, got: z.dims().to_vec() });
        }
        let documented = format!("(B = {b}, D = {text_dim})");
        expect_shape("Generator: text.sentence", &text.sentence, &[Some(b), Some(text_dim)], &documented)?;

        let condition = self.condition.forward(&text.sentence)?;
        let c = match eps {
            Some(eps) => {
                expect_shape("Generator: eps", eps, &[Some(b), Some(nc)], &format!("(B = {b}, nc = {nc})"))?;
                condition.sample(eps)?
            }
            None => condition.mu.clone(),
        };
        let mut h = self.first.forward(&c, z, ctx)?;
        let mut stages = Vec::with_capacity(self.heads.len());
        stages.push(StageOutput {
            image: self.heads[0].forward(&h, ctx)?,
            attention: None,
            disentangled: None,
        });
        for (stage, head) in self.refine.iter().zip(&self.heads[1..]) {
            let refined = stage.forward(&h, text, ctx)?;
            h = refined.features;
            stages.push(StageOutput {
                image: head.forward(&h, ctx)?,
                attention: Some(refined.attention),
                disentangled: Some(refined.disentangled),
            });
        }
        Ok(GeneratorOutput { stages, condition })
    }
}

impl Generator for StageGenerator {
    /// Samples c outside evaluation, with epsilon from `ctx`. In evaluation `c = mu`, so that the image of a caption does
    /// not depend on its place in the batch. [`StageGenerator::generate_with`] takes any epsilon in any mode.
    fn generate(&self, z: &Tensor, text: &TextFeatures, ctx: &mut Ctx) -> Result<GeneratorOutput> {
        if !ctx.mode.batch_statistics() {
            return self.generate_with(GeneratorNoise::new(z), text, ctx);
        }
        let rows = text.sentence.dims().first().copied().unwrap_or(0); // a bad sentence is named further down
        let eps = ctx.randn((rows, self.cfg.nc), z.dtype(), z.device())?;
        self.generate_with(GeneratorNoise::new(z).with_condition(&eps), text, ctx)
    }

    fn decode(&self, stage: usize, features: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let Some(head) = self.heads.get(stage) else {
            let expected = format!("a stage in 0..{}", self.heads.len());
            return Err(Error::Shape { what: "Generator::decode: stage", expected, got: vec![stage] });
        };
        let (c, side) = (self.cfg.ngf, self.cfg.side(stage));
        let documented = format!("(B, ngf = {c}, {side}, {side})");
        let want = [None, Some(c), Some(side), Some(side)];
        expect_shape("Generator::decode: features", features, &want, &documented)?;
        head.forward(features, ctx)
    }
}
