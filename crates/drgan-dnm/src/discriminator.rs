//! The whole discriminator of one stage: encoder, two heads and a VAE.
use crate::{
    ConditionalHead, Decoder, DiscriminatorConfig, EncodedImages, Encoder, LatentEncoder, UnconditionalHead,
};
use candle_core::Tensor;
use drgan_tensor::{
    Ctx, Discriminator, DiscriminatorOutput, Error, FromConfig, Gaussian, Result, VarBuilder, Variant,
    expect_shape,
};

/// The discriminator of one generator stage: an encoder, two heads, and a VAE over its features.
///
/// # Paper
/// Section III, distribution normalization.
#[derive(Clone, Debug)]
pub struct StageDiscriminator {
    encoder: Encoder,
    unconditional: UnconditionalHead,
    conditional: ConditionalHead,
    latent: LatentEncoder,
    decoder: Decoder,
    cfg: DiscriminatorConfig,
}

/// Standard normal noise that [`StageDiscriminator::reconstruct`] samples with, each `(B, latent)`. Where one is absent, the
/// mean of its Gaussian is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct LatentNoise<'a> {
    /// Noise of the latent z* of the images.
    pub image: Option<&'a Tensor>,
    /// Noise of the sentence code c_s.
    pub text: Option<&'a Tensor>,
}

impl FromConfig for StageDiscriminator {
    type Config = DiscriminatorConfig;

    fn from_config(cfg: &DiscriminatorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        cfg.validate()?;
        Ok(Self {
            encoder: Encoder::new(cfg, vb.clone())?,
            unconditional: UnconditionalHead::new(cfg, vb.pp("UNCOND_DNET"))?,
            conditional: ConditionalHead::new(cfg, vb.pp("COND_DNET"))?,
            latent: LatentEncoder::new(cfg, vb.clone())?,
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

    /// Features of images, which both heads and the VAE read.
    ///
    /// # Shapes
    /// `images` `(B, 3, side, side)`; the features v `(B, 8 ndf, 4, 4)`.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn encode(&self, images: &Tensor, ctx: &Ctx) -> Result<EncodedImages> {
        self.encoder.forward(images, ctx)
    }

    /// Unconditional logits of features: positive for real, negative for fake.
    ///
    /// # Shapes
    /// `features` `(B, 8 ndf, 4, 4)`; the result `(B,)`.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn unconditional_logits(&self, features: &Tensor) -> Result<Tensor> {
        self.check_features(features)?;
        self.unconditional.forward(features)
    }

    /// The Gaussian of the latent and the image reconstructed from it: `z* = mu + epsilon exp(logvar / 2)`,
    /// `x* = D^E([c_s, z*])`, with the sentence code c_s sampled in the same way. Without their noise, z* and c_s are the
    /// means.
    ///
    /// # Shapes
    /// `sentence` `(B, D)`, both noises `(B, latent)`; the image `(B, 3, S, S)`.
    ///
    /// # Errors
    /// Another shape; outside evaluation, a batch of one (its batch statistics have no variance).
    pub fn reconstruct(
        &self,
        encoded: &EncodedImages,
        sentence: &Tensor,
        noise: LatentNoise<'_>,
        ctx: &Ctx,
    ) -> Result<(Gaussian, Tensor)> {
        let features = &encoded.features;
        self.check_features(features)?;
        let (b, d, n) = (features.dim(0)?, self.cfg.text_dim, self.cfg.latent);
        let documented = format!("(B = {b}, D = {d})");
        expect_shape("Discriminator: sentence", sentence, &[Some(b), Some(d)], &documented)?;
        if b == 1 && ctx.mode.batch_statistics() {
            return Err(Error::Shape {
                what: "Discriminator: features",
                expected: "(B >= 2, 8 ndf, 4, 4) in training: batch norm needs two values per channel"
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
        let latent = self.latent.image(encoded, ctx)?;
        let z = draw(&latent, noise.image, "Discriminator: noise.image")?;
        let code = draw(&self.latent.text(sentence)?, noise.text, "Discriminator: noise.text")?;
        let image = self.decoder.forward(&code, &z, ctx)?;
        Ok((latent, image))
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

    /// Samples z* outside evaluation, with epsilon from `ctx`, and in the released form c_s too; in evaluation both are their
    /// means (docs/divergences.md, sentence code).
    fn discriminate(&self, images: &Tensor, sentence: &Tensor, ctx: &mut Ctx) -> Result<DiscriminatorOutput> {
        let encoded = self.encode(images, ctx)?;
        let (b, sampling) = (images.dim(0)?, ctx.mode.batch_statistics());
        let mut eps = |drawn: bool| -> Result<Option<Tensor>> {
            let eps = drawn
                .then(|| ctx.randn((b, self.cfg.latent), images.dtype(), images.device()))
                .transpose()?;
            Ok(eps.map(|eps| eps.to_dtype(images.dtype())).transpose()?)
        };
        let (image, text) = (eps(sampling)?, eps(sampling && self.cfg.form == Variant::Released)?);
        let noise = LatentNoise { image: image.as_ref(), text: text.as_ref() };
        let unconditional = self.unconditional_logits(&encoded.features)?;
        let conditional = self.match_sentence(&encoded.features, sentence, ctx)?;
        let (latent, reconstruction) = self.reconstruct(&encoded, sentence, noise, ctx)?;
        Ok(DiscriminatorOutput {
            features: encoded.features,
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
