//! The objectives and their gradients.
use super::{Place, outputs};
use crate::{Golden, Row};
use anyhow::Result;
use candle_core::Tensor;
use drgan_losses::damsm::{Gammas, sentence_loss, words_loss};
use drgan_losses::{DisentangledFeatures, Logits, Reconstruction, discriminator_loss, generator_loss};
use drgan_tensor::Gaussian;

/// A scalar as the files keep it.
fn one(loss: &Tensor) -> Result<Tensor> {
    Ok(loss.reshape(1)?)
}

pub(super) fn adversarial(_: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let (ru, rc, wc) = (g.var("real_uncond")?, g.var("real_cond")?, g.var("wrong_cond")?);
    let (fu, fc) = (g.var("fake_uncond")?, g.var("fake_cond")?);
    let real = Logits { unconditional: &ru, conditional: &rc };
    let fake = Logits { unconditional: &fu, conditional: &fc };
    let d = discriminator_loss(real, fake, Some(&wc))?;
    let generator = generator_loss(fake)?;
    let mut rows = outputs(g, &[("loss_d", &one(&d)?), ("loss_g", &one(&generator)?)])?;
    let by = [
        ("real_uncond", &ru),
        ("real_cond", &rc),
        ("wrong_cond", &wc),
        ("fake_uncond", &fu),
        ("fake_cond", &fc),
    ];
    rows.extend(g.compare_gradients(&d, &by)?);
    Ok(rows)
}

pub(super) fn sdl(_: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let (h, q) = (g.var("h")?, g.var("q")?);
    let (mask_h, mask_q) = (g.var("mask_h_logits")?, g.var("mask_q_logits")?);
    let real = g.get("real_feature")?;
    let part = |x: &Tensor, logits: &Tensor| -> Result<Tensor> {
        let key = (x * candle_nn::ops::sigmoid(logits)?)?;
        let non_key = (x - &key)?;
        Ok(drgan_losses::sdl(DisentangledFeatures { key: &key, non_key: &non_key, real })?)
    };
    let (loss_h, loss_q) = (part(&h, &mask_h)?, part(&q, &mask_q)?);
    let mut rows = outputs(g, &[("loss_h", &one(&loss_h)?), ("loss_q", &one(&loss_q)?)])?;
    let by = [("h", &h), ("q", &q), ("mask_h", &mask_h), ("mask_q", &mask_q)];
    rows.extend(g.compare_gradients(&(loss_h + loss_q)?, &by)?);
    Ok(rows)
}

pub(super) fn dnm(_: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let (rf, rr) = (g.var("recon_fake")?, g.var("recon_real")?);
    let (mf, mr) = (g.var("mu_fake")?, g.var("mu_real")?);
    let (lf, lr) = (g.var("logvar_fake")?, g.var("logvar_real")?);
    let latent = |mu: &Tensor, logvar: &Tensor| Gaussian { mu: mu.clone(), logvar: logvar.clone() };
    let (latent_fake, latent_real) = (latent(&mf, &lf), latent(&mr, &lr));
    let fake = Reconstruction { image: &rf, target: g.get("fake")?, latent: &latent_fake };
    let real = Reconstruction { image: &rr, target: g.get("real")?, latent: &latent_real };
    let loss = drgan_losses::dnm(fake, real)?;
    let mut rows = outputs(g, &[("loss", &one(&loss)?)])?;
    let by = [
        ("recon_fake", &rf),
        ("recon_real", &rr),
        ("mu_fake", &mf),
        ("mu_real", &mr),
        ("logvar_fake", &lf),
        ("logvar_real", &lr),
    ];
    rows.extend(g.compare_gradients(&loss, &by)?);
    Ok(rows)
}

pub(super) fn dal(_: &Place<'_>, g: &Golden) -> Result<Vec<Row>> {
    let fake = g.var("recon_fake")?;
    let loss = drgan_losses::dal(&fake, g.get("real")?)?;
    let mut rows = outputs(g, &[("loss", &one(&loss)?)])?;
    rows.extend(g.compare_gradients(&loss, &[("recon_fake", &fake)])?);
    Ok(rows)
}

pub(super) fn damsm(g: &Golden, masked: bool) -> Result<Vec<Row>> {
    let default = Gammas::default();
    let gammas = Gammas {
        attention: g.number("gamma1")?.unwrap_or(default.attention),
        words: g.number("gamma2")?.unwrap_or(default.words),
        batch: g.number("gamma3")?.unwrap_or(default.batch),
    };
    let (regions, code) = (g.var("regions")?, g.var("code")?);
    let (words, sentence) = (g.var("words")?, g.var("sentence")?);
    let lens: Vec<usize> =
        g.integers("lengths")?.into_iter().map(usize::try_from).collect::<Result<_, _>>()?;
    let ids = g.integers("class_ids")?;
    let labels = [&ids[..]];
    let ids = if masked { &labels[..] } else { &[] };
    let (w, maps) = words_loss(&regions, &words, &lens, ids, gammas)?;
    let s = sentence_loss(&code, &sentence, ids, gammas)?;
    let (w0, w1) = (one(&w.image_to_text)?, one(&w.text_to_image)?);
    let (s0, s1) = (one(&s.image_to_text)?, one(&s.text_to_image)?);
    let mut rows = outputs(g, &[("w_loss0", &w0), ("w_loss1", &w1), ("s_loss0", &s0), ("s_loss1", &s1)])?;
    for (i, map) in maps.iter().enumerate() {
        let (name, map) = (format!("attention_{i}"), map.unsqueeze(0)?);
        if g.find(&name).is_some() {
            rows.extend(outputs(g, &[(&name, &map)])?);
        }
    }
    let total = (((w0 + w1)? + s0)? + s1)?.sum_all()?;
    let by = [("regions", &regions), ("code", &code), ("words", &words), ("sentence", &sentence)];
    rows.extend(g.compare_gradients(&total, &by)?);
    Ok(rows)
}
