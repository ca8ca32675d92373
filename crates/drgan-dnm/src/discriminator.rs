use crate::{Conditional, Decoder, DiscriminatorConfig, Encoder, LatentNet, Unconditional};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use drgan_tensor::{
    Ctx, Discriminator, DiscriminatorOutput, Error, FromConfig, Gaussian, Result, expect_shape,
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

    /// The features v alone.
    ///
    /// # Shapes
    /// `images` `(B, 3, side, side)`; the result `(B, 8 ndf, 4, 4)`.
    ///
    /// # Errors
    /// Another shape.
    pub fn encode(&self, images: &Tensor, ctx: &Ctx) -> Result<Tensor> {
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

    /// The latent and the picture rebuilt from it: `z* = mu + eps exp(logvar / 2)`, `x* = D^E([c_s, z*])`.
    /// Without `eps`, `z* = mu`.
    ///
    /// # Shapes
    /// `features` `(B, 8 ndf, 4, 4)`, `sentence` `(B, D)`, `eps` `(B, latent)`; the picture `(B, 3, S, S)`.
    ///
    /// # Errors
    /// Another shape; outside evaluation, a batch of one (its batch statistics have no variance).
    pub fn reconstruct(
        &self,
        features: &Tensor,
        sentence: &Tensor,
        eps: Option<&Tensor>,
        ctx: &Ctx,
    ) -> Result<(Gaussian, Tensor)> {
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
        let latent = self.latent.image(features)?;
        let z = match eps {
            Some(eps) => {
                let documented = format!("(B = {b}, latent = {n})");
                expect_shape("Discriminator: eps", eps, &[Some(b), Some(n)], &documented)?;
                latent.sample(eps)?
            }
            None => latent.mu.clone(),
        };
        let picture = self.decoder.forward(&self.latent.text(sentence)?, &z, ctx)?;
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

    /// Samples z* outside evaluation, with eps from `ctx`; in evaluation `z* = mu`.
    fn discriminate(&self, images: &Tensor, sentence: &Tensor, ctx: &mut Ctx) -> Result<DiscriminatorOutput> {
        let features = self.encode(images, ctx)?;
        let eps = if ctx.mode.batch_statistics() {
            let eps = ctx.randn((images.dim(0)?, self.cfg.latent), images.device())?;
            Some(eps.to_dtype(images.dtype())?)
        } else {
            None
        };
        let unconditional = self.judge(&features)?;
        let conditional = self.match_sentence(&features, sentence, ctx)?;
        let (latent, reconstruction) = self.reconstruct(&features, sentence, eps.as_ref(), ctx)?;
        Ok(DiscriminatorOutput { features, unconditional, conditional, latent, reconstruction })
    }

    fn match_sentence(&self, features: &Tensor, sentence: &Tensor, ctx: &mut Ctx) -> Result<Tensor> {
        self.check_features(features)?;
        self.conditional.forward(features, sentence, ctx)
    }
}
