//! Decoding half of the discriminator's VAE: latent and sentence code to an image.
use crate::DiscriminatorConfig;
use candle_core::Tensor;
use drgan_tensor::nn::{Conv2d, LEAKY_RELU_SLOPE, UpBlock, VectorToMap};
use drgan_tensor::ops::{self, Activation};
use drgan_tensor::{Ctx, Result, VarBuilder, Variant};

/// D^E, the decoding half of the VAE: sentence code and latent to an image.
///
/// `[c_s, z*] -> Linear -> BN -> GLU -> (ndf S / 4, 4, 4) -> log2(S / 4) up-blocks -> conv1x1 -> tanh`.
/// Names: `h_net1.fc`, `h_net1.upsample1`, ..., `img_code_s1.0`.
///
/// # Paper
/// Section III, distribution normalization. The order (text, image) is the released code's; in that form it ends in a
/// LeakyReLU(0.2), which hardly reaches the negative half of an image's range (docs/divergences.md, decoder).
#[derive(Clone, Debug)]
pub struct Decoder {
    expand: VectorToMap,
    upsample: Vec<UpBlock>,
    image: Conv2d,
    form: Variant,
}

impl Decoder {
    /// A decoder of the configuration's sizes.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(cfg: &DiscriminatorConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let wide = cfg.ndf * cfg.base / 4;
        let doublings = (cfg.base / 4).ilog2() as usize;
        let net = vb.pp("h_net1");
        Ok(Self {
            expand: VectorToMap::new(2 * cfg.latent, wide, net.clone())?,
            upsample: (0..doublings)
                .map(|k| UpBlock::new(wide >> k, wide >> (k + 1), net.pp(format!("upsample{}", k + 1))))
                .collect::<Result<_>>()?,
            image: Conv2d::pointwise(cfg.ndf, 3, vb.pp("img_code_s1.0"))?,
            form: cfg.form,
        })
    }

    /// The image x* of the sentence code `text` (c_s in the paper) and of `latent` (z*).
    ///
    /// # Shapes
    /// `text` and `latent` `(B, latent)`; the image `(B, 3, S, S)`, in the paper's form in `[-1, 1]`.
    ///
    /// # Errors
    /// Shapes that do not fit; outside evaluation, a batch of one.
    pub fn forward(&self, text: &Tensor, latent: &Tensor, ctx: &Ctx) -> Result<Tensor> {
        let x = self.expand.forward(&Tensor::cat(&[text, latent], 1)?, ctx)?; // (B, ndf S / 4, 4, 4)
        let x = self.upsample.iter().try_fold(x, |x, up| up.forward(&x, ctx))?; // (B, ndf, S, S)
        match self.form {
            Variant::Paper => Ok(ops::tanh(&self.image.forward(&x)?)?),
            Variant::Released => self.image.forward_act(&x, Activation::LeakyRelu(LEAKY_RELU_SLOPE)),
        }
    }
}
