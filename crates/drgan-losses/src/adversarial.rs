//! Adversarial objectives: binary cross-entropy on logits (docs/model.md, Objectives).
use candle_core::Tensor;
use drgan_tensor::ops::softplus_means;
use drgan_tensor::{DiscriminatorOutput, Error, Result, expect_shape};

/// Logits that a discriminator gives of one batch of images, each `(B,)`.
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a> {
    /// Real or fake, of the images alone.
    pub unconditional: &'a Tensor,
    /// Real and matching, of the images beside their captions.
    pub conditional: &'a Tensor,
}

impl<'a> From<&'a DiscriminatorOutput> for Logits<'a> {
    fn from(output: &'a DiscriminatorOutput) -> Self {
        Self { unconditional: &output.unconditional, conditional: &output.conditional }
    }
}

impl Logits<'_> {
    fn check(self, unconditional: &'static str, conditional: &'static str) -> Result<()> {
        check(unconditional, self.unconditional)?;
        check(conditional, self.conditional)
    }
}

/// Sum of the means of `-ln sigmoid(x)` over `divisor`: the logits should say real.
fn real_loss(logits: Logits<'_>, divisor: f64) -> Result<Tensor> {
    Ok(softplus_means(&[logits.unconditional, logits.conditional], true, divisor)?)
}

fn check(what: &'static str, x: &Tensor) -> Result<()> {
    expect_shape(what, x, &[None], "(B,)")?;
    if x.elem_count() == 0 {
        return Err(Error::Shape { what, expected: "(B,), B at least 1".into(), got: x.dims().to_vec() });
    }
    Ok(())
}

/// The discriminator's objective `(real + real|s) / 2 + (fake + fake|s + wrong|s) / 3`, each term a mean of binary
/// cross-entropies and `|s` the logits beside the captions.
///
/// `wrong` holds conditional logits of real images beside captions of others. Pairs of one class are left out, so it may be
/// shorter than the batch; absent or empty, its term is 0 and the divisor stays 3 (docs/divergences.md, wrong pairs).
///
/// # Shapes
/// All logits `(B,)`, `wrong` `(B',)`; the result is a scalar.
///
/// # Errors
/// Logits of another rank, or of an empty batch.
pub fn discriminator_loss(real: Logits<'_>, fake: Logits<'_>, wrong: Option<&Tensor>) -> Result<Tensor> {
    real.check("discriminator_loss: real.unconditional", "discriminator_loss: real.conditional")?;
    fake.check("discriminator_loss: fake.unconditional", "discriminator_loss: fake.conditional")?;
    let mut fakes = vec![fake.unconditional, fake.conditional];
    if let Some(wrong) = wrong.filter(|w| w.elem_count() > 0) {
        check("discriminator_loss: wrong", wrong)?;
        fakes.push(wrong);
    }
    // Means of `-ln(1 - sigmoid(x))`: these logits should say fake.
    let (fakes, reals) = (softplus_means(&fakes, false, 3.)?, real_loss(real, 2.)?);
    Ok((reals + fakes)?)
}

/// The generator's objective: the sum of both means of `-ln sigmoid` of the logits of generated images, which should say
/// real.
///
/// # Shapes
/// Both logits `(B,)`; the result is a scalar.
///
/// # Errors
/// Logits of another rank, or of an empty batch.
pub fn generator_loss(fake: Logits<'_>) -> Result<Tensor> {
    fake.check("generator_loss: fake.unconditional", "generator_loss: fake.conditional")?;
    real_loss(fake, 1.)
}
