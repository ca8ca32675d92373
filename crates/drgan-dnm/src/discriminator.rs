use crate::{Conditional, Decoder, DiscriminatorConfig, Encoded, Encoder, LatentNet, Unconditional};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use drgan_tensor::{
    Ctx, Discriminator, DiscriminatorOutput, Error, Form, FromConfig, Gaussian, Result, expect_shape,
};

/// One stage's discriminator: encoder, two heads, and a VAE.
///
/// # Paper
/// Section III, distribution normalization.
#[derive(Clone, Debug)]
pub struct StageDiscriminator {
    encoder: Encoder,
    unconditional: Unconditional,
    conditional: Conditional,
    latent: LatentNet,
    decoder: Decoder,
    cfg: DiscriminatorConfig,
}

/// Standard normal noise of [`StageDiscriminator::reconstruct`], each `(B, latent)`; none stands for the mean.
#[derive(Clone, Copy, Debug, Default)]
pub struct LatentNoise<'a> {
    /// Of the pictures' latent.
    pub image: Option<&'a Tensor>,
    /// Of the sentence's code.
    pub text: Option<&'a Tensor>,
}

impl FromConfig for StageDiscriminator {
    type Config = DiscriminatorConfig;

    fn from_config(cfg: &DiscriminatorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        cfg.validate()?;
        Ok(Self {
            encoder: Encoder::new(cfg, vb.clone())?,
            unconditional: Unconditional::new(cfg, vb.pp("UNCOND_DNET"))?,
            conditional: Conditional::new(cfg, vb.pp("COND_DNET"))?,
            latent: LatentNet::new(cfg, vb.clone())?,
            decoder: Decoder::new(cfg, vb)?,
            cfg: cfg.clone(),
        })
    }
}

impl StageDiscriminator {
    /// The configuration it was built from.
    pub fn config(&self) -> &DiscriminatorConfig {
        &self.cfg
    }

    /// What it sees in pictures.
    ///
    /// # Shapes
    /// `images` `(B, 3, side, side)`; the features, v, `(B, 8 ndf, 4, 4)`.
    ///
    /// # Errors
    /// Another shape.
    pub fn encode(&self, images: &Tensor, ctx: &Ctx) -> Result<Encoded> {
        self.encoder.forward(images, ctx)
    }

    /// Unconditional logits of features.
    ///
    /// # Shapes
    /// `features` `(B, 8 ndf, 4, 4)`; the result `(B,)`.
    ///
    /// # Errors
    /// Another shape.
    pub fn judge(&self, features: &Tensor) -> Result<Tensor> {
        self.check_features(features)?;
        self.unconditional.forward(features)
    }

    /// The latent and the picture rebuilt from it: `z* = mu + eps exp(logvar / 2)`, `x* = D^E([c_s, z*])`, and the
    /// sentence's code c_s sampled alike; without their noise `z* = mu` and c_s is its mean.
    ///
    /// # Shapes
    /// `sentence` `(B, D)`, both noises `(B, latent)`; the picture `(B, 3, S, S)`.
    ///
    /// # Errors
    /// Another shape; outside evaluation, a batch of one (its batch statistics have no variance).
    pub fn reconstruct(
        &self,
        seen: &Encoded,
        sentence: &Tensor,
        noise: LatentNoise<'_>,
        ctx: &Ctx,
    ) -> Result<(Gaussian, Tensor)> {
        let features = &seen.features;
        self.check_features(features)?;
        let (b, d, n) = (features.dim(0)?, self.cfg.text_dim, self.cfg.latent);
        let documented = format!("(B = {b}, D = {d})");
        expect_shape("Discriminator: sentence", sentence, &[Some(b), Some(d)], &documented)?;
        if b == 1 && ctx.mode.batch_statistics() {
            return Err(Error::Shape {
                what: "Discriminator: features",
                expected: "(B >= 2, 8 ndf, 4, 4) in training: batch norm needs two values a channel"
                    .to_owned(),
                got: features.dims().to_vec(),
            });
        }
        let draw = |from: &Gaussian, eps: Option<&Tensor>, what| match eps {
            Some(eps) => {
                expect_shape(what, eps, &[Some(b), Some(n)], &format!("(B = {b}, latent = {n})"))?;
                from.sample(eps)
            }
            None => Ok(from.mu.clone()),
        };
        let latent = self.latent.image(seen, ctx)?;
        let z = draw(&latent, noise.image, "Discriminator: noise.image")?;
        let code = draw(&self.latent.text(sentence)?, noise.text, "Discriminator: noise.text")?;
        let picture = self.decoder.forward(&code, &z, ctx)?;
        Ok((latent, picture))
    }

    fn check_features(&self, features: &Tensor) -> Result<()> {
        let v = self.cfg.features();
        let want = [None, Some(v), Some(4), Some(4)];
        expect_shape("Discriminator: features", features, &want, &format!("(B, 8 ndf = {v}, 4, 4)"))
    }
}

impl Discriminator for StageDiscriminator {
    fn side(&self) -> usize {
        self.cfg.side
    }

    /// Samples z* outside evaluation, with eps from `ctx`, and in the released form c_s too; in evaluation both are means.
    fn discriminate(&self, images: &Tensor, sentence: &Tensor, ctx: &mut Ctx) -> Result<DiscriminatorOutput> {
        let seen = self.encode(images, ctx)?;
        let (b, sampling) = (images.dim(0)?, ctx.mode.batch_statistics());
        let mut eps = |drawn: bool| -> Result<Option<Tensor>> {
            let eps = drawn.then(|| ctx.randn((b, self.cfg.latent), images.device())).transpose()?;
            Ok(eps.map(|eps| eps.to_dtype(images.dtype())).transpose()?)
        };
        let (image, text) = (eps(sampling)?, eps(sampling && self.cfg.form == Form::Released)?);
        let noise = LatentNoise { image: image.as_ref(), text: text.as_ref() };
        let unconditional = self.judge(&seen.features)?;
        let conditional = self.match_sentence(&seen.features, sentence, ctx)?;
        let (latent, reconstruction) = self.reconstruct(&seen, sentence, noise, ctx)?;
        Ok(DiscriminatorOutput {
            features: seen.features,
            unconditional,
            conditional,
            latent,
            reconstruction,
        })
    }

    fn match_sentence(&self, features: &Tensor, sentence: &Tensor, ctx: &mut Ctx) -> Result<Tensor> {
        self.check_features(features)?;
        self.conditional.forward(features, sentence, ctx)
    }
}
