use crate::{FirstStage, GeneratorConfig, ImageHead, NextStage, condition};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use drgan_tensor::nn::ConditionNet;
use drgan_tensor::ops::Precision;
use drgan_tensor::{
    Ctx, Error, FromConfig, Generator, GeneratorOutput, Result, StageOutput, TextFeatures, expect_shape,
};

/// DR-GAN's generator: conditioning augmentation, a first stage, and stages that attend, disentangle and double.
///
/// Names, as the released code's: `ca_net`, `h_net1`, `h_net2`, ..., `img_net1`, `img_net2`, ....
///
/// # Paper
/// Section III.
#[derive(Clone, Debug)]
pub struct StageGenerator {
    condition: ConditionNet,
    first: FirstStage,
    next: Vec<NextStage>,
    heads: Vec<ImageHead>,
    cfg: GeneratorConfig,
}

impl FromConfig for StageGenerator {
    type Config = GeneratorConfig;

    fn from_config(cfg: &GeneratorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        cfg.validate()?;
        Ok(Self {
            condition: ConditionNet::new(cfg.text_dim, cfg.nc, vb.pp(condition::NAME))?,
            first: FirstStage::new(cfg, vb.pp("h_net1"))?,
            next: (1..cfg.stages)
                .map(|i| NextStage::new(cfg, vb.pp(format!("h_net{}", i + 1))))
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

    /// A copy for drawing: normalisations folded into convolutions, weights brought once into the form that the processor
    /// reads. It evaluates only ([`Mode::Eval`](drgan_tensor::Mode::Eval)), keeps no gradient of its convolutions, and does
    /// not see later changes of the weights.
    ///
    /// # Errors
    /// Weights that are not f32 on the CPU.
    pub fn pack(&self, precision: Precision) -> Result<Self> {
        Ok(Self {
            condition: self.condition.clone(),
            first: self.first.pack(precision)?,
            next: self.next.iter().map(|s| s.pack(precision)).collect::<Result<_>>()?,
            heads: self.heads.iter().map(|h| h.pack(precision)).collect::<Result<_>>()?,
            cfg: self.cfg.clone(),
        })
    }

    /// Pictures for given noise: `c = mu + eps exp(logvar / 2)`, or `c = mu` without `eps`. Draws nothing.
    ///
    /// With one z and eps a caption, a caption's picture in [`Mode::Eval`](drgan_tensor::Mode::Eval) depends on
    /// nothing else in the batch: this is what samplers call.
    ///
    /// # Shapes
    /// `z` `(B, nz)`, `eps` `(B, nc)`, words `(B, D, T)`, sentence `(B, D)`, mask `(B, T)`.
    ///
    /// # Errors
    /// Shapes that do not fit; outside evaluation, a batch of one (its batch statistics have no variance).
    pub fn generate_with(
        &self,
        z: &Tensor,
        eps: Option<&Tensor>,
        text: &TextFeatures,
        ctx: &Ctx,
    ) -> Result<GeneratorOutput> {
        let GeneratorConfig { nz, nc, text_dim, .. } = self.cfg;
        let documented = format!("(B, nz = {nz})");
        expect_shape("Generator: z", z, &[None, Some(nz)], &documented)?;
        let b = z.dim(0)?;
        if b == 0 || (b == 1 && ctx.mode.batch_statistics()) {
            let expected = if b == 0 {
                format!("(B >= 1, nz = {nz})")
            } else {
                format!("(B >= 2, nz = {nz}) in training: batch norm needs two values a channel")
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
        for (stage, head) in self.next.iter().zip(&self.heads[1..]) {
            let next = stage.forward(&h, text, ctx)?;
            h = next.features;
            stages.push(StageOutput {
                image: head.forward(&h, ctx)?,
                attention: Some(next.attention),
                disentangled: Some(next.disentangled),
            });
        }
        Ok(GeneratorOutput { stages, condition })
    }
}

impl Generator for StageGenerator {
    /// Samples c outside evaluation, with eps from `ctx`; in evaluation `c = mu`, so that a caption's picture does
    /// not depend on its place in the batch. [`StageGenerator::generate_with`] takes any eps in any mode.
    fn generate(&self, z: &Tensor, text: &TextFeatures, ctx: &mut Ctx) -> Result<GeneratorOutput> {
        if !ctx.mode.batch_statistics() {
            return self.generate_with(z, None, text, ctx);
        }
        let rows = text.sentence.dims().first().copied().unwrap_or(0); // a bad sentence is named further down
        let eps = ctx.randn((rows, self.cfg.nc), z.device())?.to_dtype(z.dtype())?;
        self.generate_with(z, Some(&eps), text, ctx)
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
