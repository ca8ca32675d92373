//! Adversarial objectives: binary cross-entropy on logits (SPEC, Objectives).
use crate::math::softplus;
use candle_core::Tensor;
use drgan_tensor::{Error, Result, expect_shape};

/// Mean of `-ln sigmoid(x)`: the logits should say real.
fn real(x: &Tensor) -> Result<Tensor> {
    Ok(softplus(&x.neg()?)?.mean_all()?)
}

/// Mean of `-ln(1 - sigmoid(x))`: the logits should say fake.
fn fake(x: &Tensor) -> Result<Tensor> {
    Ok(softplus(x)?.mean_all()?)
}

fn check(what: &'static str, x: &Tensor) -> Result<()> {
    expect_shape(what, x, &[None], "(B,)")?;
    if x.elem_count() == 0 {
        return Err(Error::Shape { what, expected: "(B,), B at least 1".into(), got: x.dims().to_vec() });
    }
    Ok(())
}

/// `(real + real|s) / 2 + (fake + fake|s + wrong|s) / 3`, each a mean of binary cross-entropies.
///
/// `wrong_cond` holds the logits of real pictures with another's caption; pairs of one class are left out, so it may
/// be shorter than the batch. Absent (or empty), its term is 0 and the divisor stays 3.
///
/// # Shapes
/// Logits, `(B,)`; `wrong_cond` `(B',)`.
///
/// # Errors
/// Another rank, or an empty batch.
pub fn discriminator_loss(
    real_uncond: &Tensor,
    real_cond: &Tensor,
    fake_uncond: &Tensor,
    fake_cond: &Tensor,
    wrong_cond: Option<&Tensor>,
) -> Result<Tensor> {
    check("discriminator_loss: real_uncond", real_uncond)?;
    check("discriminator_loss: real_cond", real_cond)?;
    check("discriminator_loss: fake_uncond", fake_uncond)?;
    check("discriminator_loss: fake_cond", fake_cond)?;
    let mut fakes = (fake(fake_uncond)? + fake(fake_cond)?)?;
    if let Some(wrong) = wrong_cond.filter(|w| w.elem_count() > 0) {
        check("discriminator_loss: wrong_cond", wrong)?;
        fakes = (fakes + fake(wrong)?)?;
    }
    let reals = (real(real_uncond)? + real(real_cond)?)?;
    Ok(((reals / 2.)? + (fakes / 3.)?)?)
}

/// `(fake -> real) + (fake|s -> real)`.
///
/// # Shapes
/// Logits, `(B,)`.
///
/// # Errors
/// Another rank, or an empty batch.
pub fn generator_loss(fake_uncond: &Tensor, fake_cond: &Tensor) -> Result<Tensor> {
    check("generator_loss: fake_uncond", fake_uncond)?;
    check("generator_loss: fake_cond", fake_cond)?;
    Ok((real(fake_uncond)? + real(fake_cond)?)?)
}
